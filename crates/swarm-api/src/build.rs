//! Routes of image builds, classic and BuildKit.
//!
//! `/session` and `/grpc` leave HTTP/1.1 for h2c; what is spoken then is between client and engine.

use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[
    Route::forwarded("POST", "/build", |b, _, x| b.build(x))
        .note("on the engine that constraints and affinities in build args and labels choose"),
    Route::fanned_out("POST", "/build/prune", |b, _, x| b.prune_builds(x))
        .since(31)
        .note("results added up"),
    Route::forwarded("POST", "/build/cancel", |b, _, x| b.cancel_build(x))
        .since(38)
        .note("on the engine that runs the build"),
    Route::forwarded("POST", "/session", |b, _, x| b.session(x))
        .hijacked()
        .since(31)
        .note("pinned to the engine of its build"),
    Route::forwarded("POST", "/grpc", |b, _, x| b.grpc(x)).hijacked().since(39),
];
