//! Routes of `/volumes`.

use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[
    Route::served("GET", "/volumes", |b, _, x| b.list_volumes(x)).note("local ones as `node/name`"),
    Route::forwarded("GET", "/volumes/{name}", |b, n, x| b.inspect_volume(n, x)),
    Route::fanned_out("POST", "/volumes/create", |b, _, x| b.create_volume(x))
        .json()
        .note("on one engine for `node/name`, on every engine otherwise"),
    Route::forwarded("PUT", "/volumes/{name}", |b, n, x| b.update_volume(n, x))
        .json()
        .since(42)
        .note("cluster volumes, which only swarm mode has"),
    Route::fanned_out("DELETE", "/volumes/{name}", |b, n, x| b.remove_volume(n, x))
        .note("wherever it is"),
    Route::fanned_out("POST", "/volumes/prune", |b, _, x| b.prune_volumes(x))
        .since(25)
        .note("results added up"),
];
