//! The nodes, with what is reserved on them.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use swarm_backend::NodeSight;
use swarm_model::node::NodeState;
use swarm_model::{Node, Task};

use crate::replica::{Member, Tables};

/// A processor, as resources count it.
const CPU: i64 = 1_000_000_000;

/// A node, with the tasks that are shown on it.
pub fn sight(
    tables: &Tables,
    node: &Node,
    tasks: &[Arc<Task>],
    leader: Option<&str>,
    members: &[Member],
) -> NodeSight {
    let (cpus, memory) = reserved(tables, &node.id);
    let resources = &node.description.resources;
    let engine = &node.description.engine;
    let mut labels = engine.labels.clone();
    labels.extend(node.spec.labels.clone());
    NodeSight {
        key: node.id.to_string(),
        revision: revision_of(tasks),
        id: node.id.to_string(),
        name: node.name().to_owned(),
        address: node.status.addr.clone(),
        state: node.status.state.as_str().to_owned(),
        role: role(node, leader).to_owned(),
        message: message(node, members),
        availability: node.spec.availability.as_str().to_owned(),
        labels,
        engine_version: engine.engine_version.clone(),
        cpus: resources.nano_cpus / CPU,
        reserved_nano_cpus: cpus,
        memory: resources.memory_bytes,
        reserved_memory: memory,
    }
}

/// By name.
pub fn order(one: &NodeSight, other: &NodeSight) -> Ordering {
    (&one.name, &one.key).cmp(&(&other.name, &other.key))
}

/// Another number when these are other tasks, or any of them changed.
pub fn revision_of(tasks: &[Arc<Task>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for task in tasks {
        (task.id.as_str(), task.version.index).hash(&mut hasher);
    }
    // The largest number means something else.
    hasher.finish() >> 1
}

fn role(node: &Node, leader: Option<&str>) -> &'static str {
    match &node.manager_status {
        Some(status) if node.member != 0 && leader == Some(status.addr.as_str()) => "leader",
        Some(_) if node.member != 0 => "manager",
        _ => "worker",
    }
}

/// What there is to say: why it is silent and since when, and whether its manager answers.
fn message(node: &Node, members: &[Member]) -> String {
    let mut words = node.status.message.clone();
    let is_silent = members.iter().any(|one| one.id == node.member && !one.reachable);
    if node.status.state != NodeState::Ready {
        return words;
    }
    let unanswering =
        (node.member != 0 && is_silent).then(|| "its manager does not answer".to_owned());
    for more in [unanswering, node.clock_words()].into_iter().flatten() {
        if !words.is_empty() {
            words.push_str("; ");
        }
        words.push_str(&more);
    }
    words
}

/// What tasks have reserved on a node: 10⁻⁹ of a processor, and bytes.
pub(crate) fn reserved(tables: &Tables, node: &str) -> (i64, i64) {
    let holding = tables.tasks_of_node(node).filter(|task| task.holds_node());
    let reserved = holding.filter_map(|task| task.spec.reservations());
    reserved.fold((0, 0), |(cpus, memory), one| {
        (cpus.saturating_add(one.nano_cpus), memory.saturating_add(one.memory_bytes))
    })
}
