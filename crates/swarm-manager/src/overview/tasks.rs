//! Which tasks are shown, and as what.
//!
//! A tile is a task that is wanted, or that still holds its node; of a slot that has none of these, the
//! last one that failed: its error is what a person has to see. All others are history.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use swarm_backend::{ContainerSight, TaskSight};
use swarm_model::service::{PortConfig, Protocol};
use swarm_model::{Service, Task, TaskState, Time};

/// A slot of a service: its number, and of a global service its node.
type Slot<'t> = (u64, &'t str);

fn slot(is_global: bool, task: &Task) -> Slot<'_> {
    let node = if is_global { task.node_id.as_str() } else { "" };
    (task.slot, node)
}

/// The tasks that are shown of all those of one service, which may be gone already.
pub fn shown<'t>(
    service: Option<&Service>,
    tasks: impl IntoIterator<Item = &'t Arc<Task>>,
) -> Vec<Arc<Task>> {
    let is_global = service.is_some_and(|service| service.spec.mode.decided().is_global());
    let mut shown = Vec::new();
    let mut taken = HashSet::new();
    let mut failed: HashMap<Slot<'_>, &Arc<Task>> = HashMap::new();
    for task in tasks {
        let state = task.status.state;
        if task.is_wanted() || !state.is_end() {
            taken.insert(slot(is_global, task));
            shown.push(Arc::clone(task));
        } else if matches!(state, TaskState::Failed | TaskState::Rejected | TaskState::Orphaned) {
            let newest = failed.entry(slot(is_global, task)).or_insert(task);
            if (newest.lineage.nth, newest.created_at) < (task.lineage.nth, task.created_at) {
                *newest = task;
            }
        }
    }
    let left = failed.into_iter().filter(|(slot, _)| service.is_some() && !taken.contains(slot));
    shown.extend(left.map(|(_, task)| Arc::clone(task)));
    shown
}

/// Why a task is not what it should be, as far as anybody said.
pub fn reason(task: &Task) -> &str {
    let status = &task.status;
    if status.err.is_empty() { &status.message } else { &status.err }
}

/// A task as it is shown below the node of this key, under this name.
pub fn sight(task: &Task, name: String, key: &str) -> ContainerSight {
    let status = &task.status;
    let container = status.container_status.as_ref();
    let spec = task.spec.container_spec.as_ref();
    let ends = status.state.is_end();
    let exit_code = container.filter(|_| ends).and_then(|one| i32::try_from(one.exit_code).ok());
    let at = |time: Time| (!time.is_never()).then(|| millis(time));
    let is_nowhere = task.node_id.is_empty();
    ContainerSight {
        id: task.id.to_string(),
        name,
        node: key.to_owned(),
        image: spec.map(|spec| spec.image.clone()).unwrap_or_default(),
        state: status.state.as_str().to_owned(),
        exit_code,
        ports: ports(task),
        labels: labels(task),
        created: millis(task.created_at),
        started: at(task.lineage.running_since),
        finished: at(task.lineage.ended_at),
        placed: Some(task.placed_because.clone()).filter(|reason| !reason.is_empty()),
        waits: is_nowhere.then(|| reason(task).to_owned()),
        service: Some(task.service_annotations.name.clone()),
        task: Some(TaskSight {
            service: task.service_id.to_string(),
            slot: task.slot,
            desired: task.desired_state.as_str(),
            message: status.message.clone(),
            error: status.err.clone(),
            container: container.map(|one| one.container_id.clone()).unwrap_or_default(),
        }),
        ..ContainerSight::default()
    }
}

fn millis(time: Time) -> i64 {
    time.0 / 1_000_000
}

/// The container's labels, and the service's.
fn labels(task: &Task) -> BTreeMap<String, String> {
    let mut labels = task.service_annotations.labels.clone();
    let spec = task.spec.container_spec.as_ref();
    let own = spec.and_then(|spec| spec.rest.get("Labels")).and_then(Value::as_object);
    for (key, value) in own.into_iter().flatten() {
        labels.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    labels
}

/// Ports of its own: those that the engine chose are in its status.
fn ports(task: &Task) -> Vec<String> {
    let told = task.status.rest.get("PortStatus").and_then(|status| status.get("Ports"));
    let told: Vec<PortConfig> =
        told.and_then(|ports| serde_json::from_value(ports.clone()).ok()).unwrap_or_default();
    let fixed = task.host_ports.iter().filter(|port| port.published_port != 0);
    let mut ports: Vec<String> = told.iter().chain(fixed).map(port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// A published port in words.
pub fn port(port: &PortConfig) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    };
    format!("{}→{}/{protocol}", port.published_port, port.target_port)
}
