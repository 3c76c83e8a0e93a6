//! Routes of swarm mode (`/swarm /services /tasks /secrets /configs`), which a pool refuses.
//!
//! An engine outside a swarm answers 503 "This node is not a swarm manager…"; clients (the CLI,
//! Compose) know that status and those words, so a pool opens with the same.

use http::StatusCode;

use crate::route::Route;

const NO_SWARM: &str = "This node is not a swarm manager. It unites engines as a pool, which has \
    no services, tasks, secrets or configs of its own: use \"docker run\" or Compose here, or point \
    the client directly at an engine that is a swarm manager.";

const fn refused(method: &'static str, pattern: &'static str) -> Route {
    Route::refused(method, pattern, StatusCode::SERVICE_UNAVAILABLE, NO_SWARM)
}

pub(crate) const ROUTES: &[Route] = &[
    refused("GET", "/swarm"),
    refused("POST", "/swarm/init"),
    refused("POST", "/swarm/join"),
    refused("POST", "/swarm/leave"),
    refused("POST", "/swarm/update"),
    refused("GET", "/swarm/unlockkey"),
    refused("POST", "/swarm/unlock"),
    refused("GET", "/services"),
    refused("POST", "/services/create"),
    refused("GET", "/services/{name}"),
    refused("DELETE", "/services/{name}"),
    refused("POST", "/services/{name}/update"),
    refused("GET", "/services/{name}/logs").since(29),
    refused("GET", "/tasks"),
    refused("GET", "/tasks/{name}"),
    refused("GET", "/tasks/{name}/logs").since(29),
    refused("GET", "/secrets").since(25),
    refused("POST", "/secrets/create").since(25),
    refused("GET", "/secrets/{name}").since(25),
    refused("DELETE", "/secrets/{name}").since(25),
    refused("POST", "/secrets/{name}/update").since(26),
    refused("GET", "/configs").since(30),
    refused("POST", "/configs/create").since(30),
    refused("GET", "/configs/{name}").since(30),
    refused("DELETE", "/configs/{name}").since(30),
    refused("POST", "/configs/{name}/update").since(30),
];
