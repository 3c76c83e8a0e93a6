//! Whether a change of a service's spec changes what a task is. What does not change the container
//! does not restart it.
//!
//! The service's labels (but those of [`swarm_model::service::host`]), its replicas and its update configuration are no part of a task; of the
//! template the restart policy is read from the service when it is needed, and the placement only
//! matters when the task's node no longer suits.

use std::sync::Arc;

use serde_json::Value;
use swarm_model::service::template::PULL_OPTIONS;
use swarm_model::service::{ContainerSpec, Service, TaskSpec};
use swarm_model::{Rest, Task, TaskState};

use super::view::View;
use crate::scheduler::Fits;
use crate::scheduler::refusal::Filter;

/// What makes the task another than the service wants; `None` when nothing does.
pub fn differs(task: &Task, service: &Service, view: &View<'_>) -> Option<&'static str> {
    let (old, new) = (&task.spec, &service.spec.task_template);
    if task.host_ports != service.spec.host_ports() {
        return Some("other host-mode ports");
    }
    if Arc::ptr_eq(old, new) {
        return None;
    }
    template(old, new).or_else(|| {
        let placed = task.status.state >= TaskState::Assigned;
        if old.placement == new.placement {
            return None;
        }
        // A task without a node waits for one under the old rules; another costs nothing.
        let suits = placed
            && view.nodes.get(&task.node_id).is_some_and(|node| {
                let refused = Fits::new(new).refused_by(node);
                !matches!(refused, Some(Filter::Constraint | Filter::Platform))
            });
        (!suits).then_some("other placement")
    })
}

fn template(old: &TaskSpec, new: &TaskSpec) -> Option<&'static str> {
    let nothing = ContainerSpec::default();
    let (before, after) = (
        old.container_spec.as_ref().unwrap_or(&nothing),
        new.container_spec.as_ref().unwrap_or(&nothing),
    );
    let same_mounts = before.mounts.len() == after.mounts.len()
        && before
            .mounts
            .iter()
            .zip(&after.mounts)
            .all(|(a, b)| a.target == b.target && same_members(&a.rest, &b.rest));
    match () {
        () if before.image != after.image => Some("another image"),
        () if !same_mounts => Some("other mounts"),
        () if !same_containers(&before.rest, &after.rest) => Some("another container"),
        () if old.resources.clone().unwrap_or_default()
            != new.resources.clone().unwrap_or_default() =>
        {
            Some("other resources")
        }
        () if old.host != new.host => Some("other host settings"),
        () if old.force_update != new.force_update => Some("a forced update"),
        () if old.runtime != new.runtime || !same_members(&old.rest, &new.rest) => {
            Some("another template")
        }
        () => None,
    }
}

/// Clients write what is not there as `null`, as an empty list or object, or not at all.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => same_members(a, b),
        (a, b) => a == b || (is_nothing(a) && is_nothing(b)),
    }
}

/// Credentials for the registry are for the next pull; no container is another by them.
fn same_containers(a: &Rest, b: &Rest) -> bool {
    let has = |rest: &Rest| rest.contains_key(PULL_OPTIONS);
    if !has(a) && !has(b) {
        return same_members(a, b);
    }
    let without = |rest: &Rest| {
        let mut rest = rest.clone();
        rest.remove(PULL_OPTIONS);
        rest
    };
    same_members(&without(a), &without(b))
}

fn same_members(a: &Rest, b: &Rest) -> bool {
    let within = |a: &Rest, b: &Rest| {
        a.iter().all(|(key, value)| same(value, b.get(key).unwrap_or(&Value::Null)))
    };
    within(a, b) && within(b, a)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_nothing),
        _ => false,
    }
}
