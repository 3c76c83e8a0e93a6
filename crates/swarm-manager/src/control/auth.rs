//! A registry's credentials: they come in a header, are kept with the container's spec for its
//! nodes to pull with, and are shown to nobody.

use serde_json::{Value, json};
use swarm_backend::{Exchange, Result};
use swarm_docker::ApiError;
use swarm_docker::auth::RegistryAuth;
use swarm_model::Service;
use swarm_model::service::template::PULL_OPTIONS;
use swarm_model::service::{ServiceSpec, TaskSpec};

/// The header's name.
const HEADER: &str = "x-registry-auth";

/// The credentials that came along.
pub(super) fn given(exchange: &Exchange) -> Result<Option<Value>> {
    let Some(value) = exchange.headers.get(HEADER) else { return Ok(None) };
    let Some(auth) = RegistryAuth::new(value)? else { return Ok(None) };
    let text = auth.header().to_str();
    let text = text.map_err(|_| ApiError::invalid("invalid X-Registry-Auth header"))?;
    Ok(Some(json!({ "RegistryAuth": text })))
}

/// Keeps the credentials with the spec. What a client writes in their place is none.
pub(super) fn keep(spec: &mut TaskSpec, auth: Option<Value>) {
    let Some(container) = &mut spec.container_spec else { return };
    container.rest.remove(PULL_OPTIONS);
    if let Some(auth) = auth {
        container.rest.insert(PULL_OPTIONS.to_owned(), auth);
    }
}

/// Those of the service's present or previous spec, as `registryAuthFrom` says.
pub(super) fn from_service(service: &Service, from: &str) -> Result<Option<Value>> {
    let of = |spec: &ServiceSpec| {
        spec.task_template.container_spec.as_ref()?.rest.get(PULL_OPTIONS).cloned()
    };
    match from {
        "" | "spec" => Ok(of(&service.spec)),
        "previous-spec" => match &service.previous_spec {
            Some(previous) => Ok(of(previous)),
            None => Err(ApiError::invalid("service does not have a previous spec")),
        },
        _ => Err(ApiError::invalid("unsupported registryAuthFrom value")),
    }
}
