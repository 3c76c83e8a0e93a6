//! Routes of swarm mode (`/swarm /services /tasks /secrets /configs`), which a pool refuses, and a
//! swarm's cluster endpoint serves.
//!
//! An engine outside a swarm answers 503 "This node is not a swarm manager…"; clients (the CLI,
//! Compose) know that status and those words, so a pool opens with the same.

use http::StatusCode;

use swarm_backend::{ApiError, Backend, Result, SwarmMode};

use crate::route::Route;

const NO_SWARM: &str = "This node is not a swarm manager. It unites engines as a pool, which has \
    no services, tasks, secrets or configs of its own: use \"docker run\" or Compose here. Swarm mode is \
    what \"swarm daemon\" serves beside an engine, on a socket of its own.";

/// A pool that is no swarm never gets so far: its route is refused first.
fn swarm(backend: &dyn Backend) -> Result<&dyn SwarmMode> {
    backend.swarm().ok_or_else(|| ApiError::unavailable(NO_SWARM))
}

/// A route of swarm mode, by the port's method.
macro_rules! of_swarm {
    ($method:literal, $pattern:literal, $call:ident) => {
        Route::refused($method, $pattern, StatusCode::SERVICE_UNAVAILABLE, NO_SWARM)
            .in_swarm(|b, _, x| Box::pin(async move { swarm(b)?.$call(x).await }))
    };
    ($method:literal, $pattern:literal, named $call:ident) => {
        Route::refused($method, $pattern, StatusCode::SERVICE_UNAVAILABLE, NO_SWARM)
            .in_swarm(|b, n, x| Box::pin(async move { swarm(b)?.$call(n, x).await }))
    };
}

pub(crate) const ROUTES: &[Route] = &[
    of_swarm!("GET", "/swarm", inspect_swarm),
    of_swarm!("POST", "/swarm/init", init_swarm).json(),
    of_swarm!("POST", "/swarm/join", join_swarm).json(),
    of_swarm!("POST", "/swarm/leave", leave_swarm).control(),
    of_swarm!("POST", "/swarm/update", update_swarm).json(),
    of_swarm!("GET", "/swarm/unlockkey", unlock_key),
    of_swarm!("POST", "/swarm/unlock", unlock_swarm).json(),
    of_swarm!("GET", "/swarm/ways", swarm_ways),
    of_swarm!("GET", "/services", list_services),
    of_swarm!("POST", "/services/create", create_service).json(),
    of_swarm!("GET", "/services/{name}", named inspect_service),
    of_swarm!("DELETE", "/services/{name}", named remove_service),
    of_swarm!("POST", "/services/{name}/update", named update_service).json(),
    of_swarm!("GET", "/services/{name}/logs", named service_logs).since(29),
    of_swarm!("GET", "/tasks", list_tasks),
    of_swarm!("GET", "/tasks/{name}", named inspect_task),
    of_swarm!("GET", "/tasks/{name}/logs", named task_logs).since(29),
    of_swarm!("GET", "/secrets", list_secrets).since(25),
    of_swarm!("POST", "/secrets/create", create_secret).json().since(25),
    of_swarm!("GET", "/secrets/{name}", named inspect_secret).since(25),
    of_swarm!("DELETE", "/secrets/{name}", named remove_secret).since(25),
    of_swarm!("POST", "/secrets/{name}/update", named update_secret).json().since(26),
    of_swarm!("GET", "/configs", list_configs).since(30),
    of_swarm!("POST", "/configs/create", create_config).json().since(30),
    of_swarm!("GET", "/configs/{name}", named inspect_config).since(30),
    of_swarm!("DELETE", "/configs/{name}", named remove_config).since(30),
    of_swarm!("POST", "/configs/{name}/update", named update_config).json().since(30),
];
