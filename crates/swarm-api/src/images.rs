//! Routes of `/images` and `/distribution`.
//!
//! Registry credentials (`X-Registry-Auth`) pass through in the headers and are never looked at.

use swarm_backend::Effect::{Reads, Streams};

use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[
    Route::served("GET", "/images/json", |b, _, x| b.list_images(x))
        .note("one entry per image id; filter `node=`; every engine is asked for what its list leaves out (`all=1`, `shared-size`)"),
    Route::fanned_out("POST", "/images/create", |b, _, x| b.create_image(x))
        .note("pull or import on every matching engine, one progress stream"),
    Route::fanned_out("POST", "/images/load", |b, _, x| b.load_images(x))
        .note("the archive goes to every engine at once"),
    Route::forwarded("GET", "/images/get", |b, _, x| b.save_images(x))
        .note("from one engine that has them all"),
    Route::forwarded("GET", "/images/search", |b, _, x| b.search_images(x))
        .note("one engine asks the registry"),
    Route::fanned_out("POST", "/images/prune", |b, _, x| b.prune_images(x))
        .since(25)
        .note("results added up"),
    Route::forwarded("GET", "/images/{name}/json", |b, n, x| b.forward_image(n, x, Reads)),
    Route::forwarded("GET", "/images/{name}/history", |b, n, x| b.forward_image(n, x, Reads)),
    Route::forwarded("GET", "/images/{name}/get", |b, n, x| b.forward_image(n, x, Streams)),
    Route::forwarded("POST", "/images/{name}/push", |b, n, x| b.forward_image(n, x, Streams)),
    Route::fanned_out("POST", "/images/{name}/tag", |b, n, x| b.tag_image(n, x))
        .note("on every engine that has it"),
    Route::fanned_out("DELETE", "/images/{name}", |b, n, x| b.remove_image(n, x))
        .note("on every engine that has it"),
    Route::forwarded("GET", "/distribution/{name}/json", |b, n, x| b.distribution(n, x))
        .since(30)
        .note("one engine asks the registry"),
];
