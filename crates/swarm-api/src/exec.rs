//! Routes of `/exec`: processes started inside running containers.
//!
//! Creating one is a route of its container; see `containers`.

use swarm_backend::Effect::{Reads, Streams};

use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[
    Route::forwarded("POST", "/exec/{name}/start", |b, n, x| b.forward_exec(n, x, Streams))
        .json()
        .hijacked(),
    Route::forwarded("POST", "/exec/{name}/resize", |b, n, x| b.forward_exec(n, x, Reads)),
    Route::forwarded("GET", "/exec/{name}/json", |b, n, x| b.forward_exec(n, x, Reads)),
];
