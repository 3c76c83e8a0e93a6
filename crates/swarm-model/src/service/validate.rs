//! What Docker refuses in a service's spec, in its words and with its status classes (swarmkit's
//! control API; `POST /services/create` and `/update`).
//!
//! A spec that does not parse at all is refused where it is read. What only the store knows (a name
//! in use, missing secrets) is left to whoever asks the store.

use std::collections::BTreeSet;

use swarm_docker::{ApiError, Reference};

use super::constraint::Constraint;
use super::mode::Mode;
use super::update::{DRAIN, Order, drain_order};
use super::{
    ContainerSpec, PortConfig, PublishMode, Resolution, Service, ServiceSpec, TaskSpec,
    UpdateConfig, host,
};

/// A thousandth of a processor: less is a mistake of units.
const LEAST_CPU: i64 = 1_000_000;

/// The engine starts no container with less.
const LEAST_MEMORY: i64 = 4 * 1024 * 1024;

/// A millisecond in nanoseconds.
const LEAST_TIME: i64 = 1_000_000;

/// Docker's services know these kinds of mounts; one that is not named is a bind.
const MOUNTS: [&str; 6] = ["", "bind", "volume", "tmpfs", "npipe", "cluster"];

/// A DNS label's length.
const LONGEST_NAME: usize = 63;

/// Checks a spec by itself.
pub fn spec(spec: &ServiceSpec) -> Result<(), ApiError> {
    name(&spec.name)?;
    if spec.mode.named() > 1 {
        return refuse("must specify only one service mode");
    }
    task(&spec.task_template)?;
    host::check(spec)?;
    drain(spec)?;
    if spec.mode.decided().is_job() {
        if spec.update_config.is_some() {
            return refuse("Jobs may not have an update config");
        }
    } else {
        update(spec.update_config.as_ref())?;
        update(spec.rollback_config.as_ref())?;
    }
    endpoint(spec)
}

/// Checks what an update changes.
pub fn change(old: &ServiceSpec, new: &ServiceSpec) -> Result<(), ApiError> {
    if kind(old.mode.decided()) != kind(new.mode.decided()) {
        return Err(ApiError::not_implemented("service mode change is not allowed"));
    }
    if old.name != new.name {
        return Err(ApiError::not_implemented("renaming services is not supported"));
    }
    Ok(())
}

/// Only slots have another place to start in.
fn drain(spec: &ServiceSpec) -> Result<(), ApiError> {
    let order = drain_order(&spec.labels).map_err(ApiError::invalid)?;
    let mode = spec.mode.decided();
    if order == Order::StartFirst && (mode.is_global() || mode.is_job()) {
        return refuse(&format!("label {DRAIN}: start-first is for replicated services alone"));
    }
    Ok(())
}

fn kind(mode: Mode) -> (bool, bool) {
    (mode.is_job(), mode.is_global())
}

/// Checks that no other service has published a port of the spec.
///
/// `own` is the service that is updated. Host-mode ports of several services may be the same: the
/// scheduler keeps their tasks apart.
pub fn port_conflicts<'a>(
    spec: &ServiceSpec,
    own: Option<&str>,
    services: impl IntoIterator<Item = &'a Service>,
) -> Result<(), ApiError> {
    let wanted: Vec<&PortConfig> = published(spec).collect();
    for service in services {
        if own == Some(service.id.as_str()) || wanted.is_empty() {
            continue;
        }
        for theirs in published(&service.spec) {
            let meets = |port: &&&PortConfig| {
                port.protocol == theirs.protocol && port.published_port == theirs.published_port
            };
            let how = match theirs.publish_mode {
                PublishMode::Ingress if wanted.iter().any(|port| meets(&port)) => "an ingress port",
                PublishMode::Host
                    if wanted
                        .iter()
                        .any(|port| port.publish_mode == PublishMode::Ingress && meets(&port)) =>
                {
                    "a host-published port"
                }
                _ => continue,
            };
            return refuse(&format!(
                "port '{}' is already in use by service '{}' ({}) as {how}",
                theirs.published_port, service.spec.name, service.id,
            ));
        }
    }
    Ok(())
}

fn published(spec: &ServiceSpec) -> impl Iterator<Item = &PortConfig> {
    let ports = spec.endpoint_spec.iter().flat_map(|endpoint| &endpoint.ports);
    ports.filter(|port| port.published_port != 0)
}

fn refuse<T>(words: &str) -> Result<T, ApiError> {
    Err(ApiError::invalid(words))
}

fn name(name: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        return refuse("meta: name must be provided");
    }
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !ends(name.chars().next()) || !ends(name.chars().last()) || !name.chars().all(inside) {
        return refuse("name must be valid as a DNS name component");
    }
    if name.len() > LONGEST_NAME {
        return refuse("name must be 63 characters or fewer");
    }
    Ok(())
}

fn task(task: &TaskSpec) -> Result<(), ApiError> {
    if let Some(resources) = &task.resources {
        if let Some(limits) = &resources.limits {
            amounts(limits.nano_cpus, limits.memory_bytes)?;
        }
        if let Some(reserved) = &resources.reservations {
            amounts(reserved.nano_cpus, reserved.memory_bytes)?;
        }
    }
    if let Some(policy) = &task.restart_policy {
        if policy.delay.is_some_and(|delay| delay < 0) {
            return refuse("TaskSpec: restart-delay cannot be negative");
        }
        if policy.window.is_some_and(|window| window < 0) {
            return refuse("TaskSpec: restart-window cannot be negative");
        }
    }
    for text in task.placement.iter().flat_map(|placement| &placement.constraints) {
        Constraint::parse(text).map_err(|error| ApiError::invalid(error.to_string()))?;
    }
    if !matches!(task.runtime.as_str(), "" | "container") {
        // Docker's words, and what to do.
        return Err(ApiError::not_implemented(format!(
            "RuntimeSpec: unimplemented runtime in service spec: {:?}; services run containers, a plugin \
             is installed on each node (docker plugin install)",
            task.runtime
        )));
    }
    let Some(container) = &task.container_spec else {
        return refuse("ContainerSpec: missing in service spec");
    };
    if container.image.is_empty() {
        return refuse("ContainerSpec: image reference must be provided");
    }
    if Reference::parse(&container.image).is_err() {
        let image = &container.image;
        return refuse(&format!("ContainerSpec: {image:?} is not a valid repository/tag"));
    }
    health(container)?;
    for mount in &container.mounts {
        let kind = mount.rest.get("Type").and_then(serde_json::Value::as_str).unwrap_or_default();
        if !MOUNTS.contains(&kind) {
            return refuse(&format!("invalid MountType: {kind:?}"));
        }
    }
    let mut targets = BTreeSet::new();
    match container.mounts.iter().find(|mount| !targets.insert(&mount.target)) {
        Some(twice) => refuse(&format!("ContainerSpec: duplicate mount point: {}", twice.target)),
        None => Ok(()),
    }
}

/// Times of a health check: 0 is the default, and less than a millisecond a mistake of units.
fn health(container: &ContainerSpec) -> Result<(), ApiError> {
    let Some(check) = container.rest.get("Healthcheck") else { return Ok(()) };
    for field in ["Interval", "Timeout", "StartPeriod", "StartInterval"] {
        let nanos = check.get(field).and_then(serde_json::Value::as_i64).unwrap_or(0);
        if nanos != 0 && nanos < LEAST_TIME {
            return refuse(&format!(
                "ContainerSpec: {field} in HealthConfig cannot be less than 1ms"
            ));
        }
    }
    let retries = check.get("Retries").and_then(serde_json::Value::as_i64).unwrap_or(0);
    if retries < 0 {
        return refuse("ContainerSpec: Retries in HealthConfig cannot be negative");
    }
    Ok(())
}

fn amounts(cpu: i64, memory: i64) -> Result<(), ApiError> {
    if cpu != 0 && cpu < LEAST_CPU {
        #[allow(clippy::cast_precision_loss)] // For people; Go prints it as a float too.
        let value = cpu as f64 / 1e9;
        return refuse(&format!("invalid cpu value {value}: Must be at least 0.001"));
    }
    if memory != 0 && memory < LEAST_MEMORY {
        return refuse(&format!("invalid memory value {memory}: Must be at least 4MiB"));
    }
    Ok(())
}

fn update(config: Option<&UpdateConfig>) -> Result<(), ApiError> {
    let Some(config) = config else { return Ok(()) };
    if config.delay < 0 {
        return refuse("TaskSpec: update-delay cannot be negative");
    }
    if config.monitor < 0 {
        return refuse("TaskSpec: update-monitor cannot be negative");
    }
    if !(0.0..=1.0).contains(&config.max_failure_ratio) {
        return refuse("TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1");
    }
    Ok(())
}

fn endpoint(spec: &ServiceSpec) -> Result<(), ApiError> {
    let Some(endpoint) = &spec.endpoint_spec else { return Ok(()) };
    let ingress = |port: &PortConfig| port.publish_mode == PublishMode::Ingress;
    if endpoint.mode == Resolution::Dnsrr && endpoint.ports.iter().any(ingress) {
        return refuse(
            "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
        );
    }
    let mut seen = BTreeSet::new();
    for port in published(spec) {
        if !seen.insert((port.protocol, port.published_port)) {
            return refuse("EndpointSpec: duplicate published ports provided");
        }
    }
    Ok(())
}
