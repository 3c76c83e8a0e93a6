//! Routes of `/nodes`, in Docker's own words so that `docker node` works on a pool, and of `/pool`,
//! which is this project's own.

use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[
    Route::served("GET", "/nodes", |b, _, x| b.list_nodes(x)).note("the pool's engines"),
    Route::served("GET", "/nodes/{name}", |b, n, x| b.inspect_node(n, x)),
    Route::served("POST", "/nodes/{name}/update", |b, n, x| b.update_node(n, x))
        .json()
        .note("availability only: cordon, drain, and back"),
    Route::served("DELETE", "/nodes/{name}", |b, n, x| b.remove_node(n, x))
        .note("one that is down; with force any"),
];

/// What Docker has no words for.
pub(crate) const POOL: &[Route] = &[
    Route::served("POST", "/pool/rebalance", |b, _, x| b.rebalance(x))
        .control()
        .note("this project's own: a plan to even the pool out, and with apply its outcome"),
    Route::served("GET", "/pool/sights", |b, _, x| b.sights(x))
        .note("this project's own: what managers tell each other to show, a line for each change"),
];
