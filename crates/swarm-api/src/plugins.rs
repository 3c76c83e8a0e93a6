//! Routes of `/plugins`: managed plugins live on one engine each.

use swarm_backend::Effect::{Changes, Reads, Streams};

use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[
    Route::fanned_out("GET", "/plugins", |b, _, x| b.list_plugins(x))
        .since(25)
        .note("names as `node/name`"),
    Route::forwarded("GET", "/plugins/privileges", |b, _, x| b.install_plugin(x, Reads))
        .since(25)
        .note("one engine asks the registry"),
    Route::fanned_out("POST", "/plugins/pull", |b, _, x| b.install_plugin(x, Streams))
        .control()
        .since(25),
    Route::fanned_out("POST", "/plugins/create", |b, _, x| b.install_plugin(x, Streams)).since(25),
    Route::forwarded("GET", "/plugins/{name}/json", |b, n, x| b.forward_plugin(n, x, Reads))
        .since(25),
    Route::fanned_out("DELETE", "/plugins/{name}", |b, n, x| b.forward_plugin(n, x, Changes))
        .since(25),
    Route::fanned_out("POST", "/plugins/{name}/enable", |b, n, x| b.forward_plugin(n, x, Changes))
        .since(25),
    Route::fanned_out("POST", "/plugins/{name}/disable", |b, n, x| b.forward_plugin(n, x, Changes))
        .since(25),
    Route::fanned_out("POST", "/plugins/{name}/upgrade", |b, n, x| b.forward_plugin(n, x, Streams))
        .control()
        .since(26),
    Route::forwarded("POST", "/plugins/{name}/push", |b, n, x| b.forward_plugin(n, x, Streams))
        .since(25),
    Route::fanned_out("POST", "/plugins/{name}/set", |b, n, x| b.forward_plugin(n, x, Changes))
        .control()
        .since(25),
];
