//! Routes of `/containers` and `/commit`.
//!
//! What each does to the pool is the backend's ([`swarm_backend::Containers`]).

use http::StatusCode;
use swarm_backend::Effect::{Changes, Reads, Streams};

use crate::route::Route;

/// Docker removed the endpoint in API v1.24 and answers 404 from there on.
const COPY_IS_GONE: &str =
    "page not found (copying by POST was removed in API v1.24: use /containers/{id}/archive)";

pub(crate) const ROUTES: &[Route] = &[
    Route::served("GET", "/containers/json", |b, _, x| b.list_containers(x))
        .note("all engines; names as `node/name`; filter `node=`"),
    Route::forwarded("POST", "/containers/create", |b, _, x| b.create_container(x))
        .json()
        .note("on the engine that filters and strategy choose; names are unique over the pool"),
    Route::forwarded("GET", "/containers/{name}/json", |b, n, x| b.inspect_container(n, x))
        .note("the engine's answer with `Node` added"),
    Route::forwarded("GET", "/containers/{name}/top", |b, n, x| b.forward_container(n, x, Reads)),
    Route::forwarded("GET", "/containers/{name}/logs", |b, n, x| {
        b.forward_container(n, x, Streams)
    }),
    Route::forwarded("GET", "/containers/{name}/changes", |b, n, x| {
        b.forward_container(n, x, Streams)
    }),
    Route::forwarded("GET", "/containers/{name}/export", |b, n, x| {
        b.forward_container(n, x, Streams)
    }),
    Route::forwarded("GET", "/containers/{name}/stats", |b, n, x| {
        b.forward_container(n, x, Streams)
    }),
    Route::forwarded("POST", "/containers/{name}/resize", |b, n, x| {
        b.forward_container(n, x, Reads)
    }),
    Route::forwarded("POST", "/containers/{name}/start", |b, n, x| {
        b.forward_container(n, x, Changes)
    }),
    Route::forwarded("POST", "/containers/{name}/stop", |b, n, x| {
        b.forward_container(n, x, Changes)
    }),
    Route::forwarded("POST", "/containers/{name}/restart", |b, n, x| {
        b.forward_container(n, x, Changes)
    }),
    Route::forwarded("POST", "/containers/{name}/kill", |b, n, x| {
        b.forward_container(n, x, Changes)
    }),
    Route::forwarded("POST", "/containers/{name}/update", |b, n, x| {
        b.forward_container(n, x, Changes)
    })
    .json(),
    Route::forwarded("POST", "/containers/{name}/rename", |b, n, x| b.rename_container(n, x))
        .note("the new name is unique over the pool"),
    Route::forwarded("POST", "/containers/{name}/pause", |b, n, x| {
        b.forward_container(n, x, Changes)
    }),
    Route::forwarded("POST", "/containers/{name}/unpause", |b, n, x| {
        b.forward_container(n, x, Changes)
    }),
    Route::forwarded("POST", "/containers/{name}/attach", |b, n, x| {
        b.forward_container(n, x, Streams)
    })
    .hijacked(),
    Route::forwarded("GET", "/containers/{name}/attach/ws", |b, n, x| {
        b.forward_container(n, x, Streams)
    })
    .hijacked(),
    Route::forwarded("POST", "/containers/{name}/wait", |b, n, x| {
        b.forward_container(n, x, Streams)
    }),
    Route::forwarded("POST", "/containers/{name}/exec", |b, n, x| b.create_exec(n, x)).json(),
    Route::forwarded("DELETE", "/containers/{name}", |b, n, x| b.forward_container(n, x, Changes)),
    Route::forwarded("HEAD", "/containers/{name}/archive", |b, n, x| {
        b.forward_container(n, x, Reads)
    }),
    Route::forwarded("GET", "/containers/{name}/archive", |b, n, x| {
        b.forward_container(n, x, Streams)
    }),
    Route::forwarded("PUT", "/containers/{name}/archive", |b, n, x| {
        b.forward_container(n, x, Streams)
    }),
    Route::refused("POST", "/containers/{name}/copy", StatusCode::NOT_FOUND, COPY_IS_GONE),
    Route::fanned_out("POST", "/containers/prune", |b, _, x| b.prune_containers(x))
        .since(25)
        .note("results added up"),
    Route::forwarded("GET", "/containers/{name}/checkpoints", |b, n, x| {
        b.forward_container(n, x, Reads)
    })
    .since(25)
    .note("experimental engines only"),
    Route::forwarded("POST", "/containers/{name}/checkpoints", |b, n, x| {
        b.forward_container(n, x, Changes)
    })
    .json()
    .since(25)
    .note("experimental engines only"),
    Route::forwarded("DELETE", "/containers/{name}/checkpoints/{checkpoint}", |b, n, x| {
        b.forward_container(n, x, Changes)
    })
    .since(25)
    .note("experimental engines only"),
    Route::forwarded("POST", "/commit", |b, _, x| b.commit_container(x))
        .json()
        .note("on the container's engine"),
];
