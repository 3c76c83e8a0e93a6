//! Routes of `/networks`.

use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[
    Route::served("GET", "/networks", |b, _, x| b.list_networks(x))
        .note("local ones as `node/name`, cluster-wide ones once"),
    Route::served("GET", "/networks/", |b, _, x| b.list_networks(x)).note("the same"),
    Route::forwarded("GET", "/networks/{name}", |b, n, x| b.inspect_network(n, x)),
    Route::fanned_out("POST", "/networks/create", |b, _, x| b.create_network(x))
        .json()
        .note("on one engine for `node/name`, on every engine otherwise"),
    Route::forwarded("POST", "/networks/{name}/connect", |b, n, x| b.connect_network(n, x))
        .json()
        .note("on the container's engine"),
    Route::forwarded("POST", "/networks/{name}/disconnect", |b, n, x| b.disconnect_network(n, x))
        .json()
        .note("on the container's engine"),
    Route::fanned_out("DELETE", "/networks/{name}", |b, n, x| b.remove_network(n, x))
        .note("wherever it is"),
    Route::fanned_out("POST", "/networks/prune", |b, _, x| b.prune_networks(x))
        .since(25)
        .note("results united"),
];
