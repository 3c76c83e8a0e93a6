//! What the scheduler knows: one summary per node, kept up by telling it of every change of a node
//! or a task, so that a decision costs one pass over the nodes and nothing per task.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use swarm_model::service::{GenericResource, Protocol, TaskSpec};
use swarm_model::{Id, Node, Task, TaskState, Time};

use super::amounts::Left;

/// A service that failed this often on a node comes there last (swarmkit's number).
pub const MANY_FAILURES: usize = 5;

/// For how long a failure counts, in nanoseconds (swarmkit's 5 minutes).
pub const FAILURES_COUNT: i64 = 5 * 60 * 1_000_000_000;

/// One node.
#[derive(Debug, Clone)]
pub struct Load {
    /// What it is.
    pub node: Arc<Node>,
    /// Whether it is there: tasks may be known of a node that is not (any more).
    pub(super) present: bool,
    pub(super) left: Left,
    pub(super) ports: BTreeSet<(Protocol, u16)>,
    /// Tasks on it that are wanted.
    pub(super) tasks: u32,
}

/// Where a service's tasks are, and where they failed.
#[derive(Debug, Clone, Default)]
pub(super) struct Shares {
    pub on: HashMap<usize, u32>,
    failures: HashMap<usize, Vec<Time>>,
    /// Failures of another spec say nothing about this one.
    spec: Arc<TaskSpec>,
}

/// What a task holds.
#[derive(Debug, Clone)]
struct Held {
    node: usize,
    service: Id,
    spec: Arc<TaskSpec>,
    given: Vec<GenericResource>,
    ports: Vec<(Protocol, u16)>,
    wanted: bool,
}

/// The ports that no two tasks on a node can share; where the engine chooses, it chooses a free one.
pub(super) fn fixed_ports(task: &Task) -> Vec<(Protocol, u16)> {
    let ports = task.host_ports.iter().map(|port| (port.protocol, port.published_port));
    ports.filter(|(_, published)| *published != 0).collect()
}

/// All nodes and what is held on them.
#[derive(Debug, Clone, Default)]
pub struct Board {
    pub(super) nodes: Vec<Load>,
    index: HashMap<Id, usize>,
    pub(super) services: HashMap<Id, Shares>,
    held: HashMap<Id, Held>,
}

impl Board {
    /// A board that knows all this.
    pub fn new<'a>(
        nodes: impl IntoIterator<Item = Arc<Node>>,
        tasks: impl IntoIterator<Item = &'a Task>,
    ) -> Self {
        let mut board = Self::default();
        for node in nodes {
            board.set_node(node);
        }
        for task in tasks {
            board.set_task(task);
            board.note_failure(task);
        }
        board
    }

    /// A node is new or has changed.
    pub fn set_node(&mut self, node: Arc<Node>) {
        let index = self.slot(&node.id);
        let load = &mut self.nodes[index];
        // Mostly it is only heard of again, or no longer: what is left stays what it was.
        if load.present && load.node.description.resources == node.description.resources {
            load.node = node;
            return;
        }
        let mut left = Left::of(&node.description.resources);
        for held in self.held.values().filter(|held| held.node == index) {
            left.change(held.spec.reservations(), &held.given, -1);
        }
        let load = &mut self.nodes[index];
        (load.node, load.left, load.present) = (node, left, true);
    }

    /// A node is no more.
    pub fn remove_node(&mut self, id: &str) {
        if let Some(&index) = self.index.get(id) {
            self.nodes[index].present = false;
        }
    }

    /// A task is new or has changed.
    pub fn set_task(&mut self, task: &Task) {
        let was_held = self.remove_task(&task.id);
        if was_held {
            self.note_failure(task);
        }
        if !task.holds_node() {
            return;
        }
        let held = Held {
            node: self.slot(&task.node_id),
            service: task.service_id.clone(),
            spec: Arc::clone(&task.spec),
            given: task.generic_resources.clone(),
            ports: fixed_ports(task),
            wanted: task.is_wanted(),
        };
        self.hold(task.id.clone(), held);
    }

    /// A task is no more. Whether it held anything.
    pub fn remove_task(&mut self, id: &str) -> bool {
        let Some(held) = self.held.remove(id) else { return false };
        let load = &mut self.nodes[held.node];
        load.left.change(held.spec.reservations(), &held.given, 1);
        for port in &held.ports {
            load.ports.remove(port);
        }
        if held.wanted {
            load.tasks = load.tasks.saturating_sub(1);
            if let Some(shares) = self.services.get_mut(&held.service) {
                let left = shares.on.get(&held.node).map_or(0, |count| count.saturating_sub(1));
                match left {
                    0 => shares.on.remove(&held.node),
                    left => shares.on.insert(held.node, left),
                };
                if shares.on.is_empty() && shares.failures.is_empty() {
                    self.services.remove(&held.service);
                }
            }
        }
        true
    }

    /// Nodes on which more is reserved than there is, by id. A node that shrank may be one.
    pub fn overbooked(&self) -> impl Iterator<Item = &Id> {
        self.nodes.iter().filter(|load| load.left.is_overbooked()).map(|load| &load.node.id)
    }

    /// Reserves what a task that is about to be assigned takes.
    pub(super) fn reserve(&mut self, task: &Task, node: usize, given: Vec<GenericResource>) {
        let held = Held {
            node,
            service: task.service_id.clone(),
            spec: Arc::clone(&task.spec),
            given,
            ports: fixed_ports(task),
            wanted: true,
        };
        self.hold(task.id.clone(), held);
    }

    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// Wanted tasks of a service on a node.
    pub(super) fn share(&self, service: &str, node: usize) -> u32 {
        self.services.get(service).and_then(|shares| shares.on.get(&node)).copied().unwrap_or(0)
    }

    /// Forgets failures that are old, or of another spec.
    pub(super) fn forget_failures(&mut self, service: &str, spec: &Arc<TaskSpec>, now: Time) {
        let Some(shares) = self.services.get_mut(service) else { return };
        if !Arc::ptr_eq(&shares.spec, spec) && shares.spec != *spec {
            shares.failures.clear();
        }
        shares.failures.retain(|_, times| {
            times.retain(|time| now.since(*time) < FAILURES_COUNT);
            !times.is_empty()
        });
    }

    /// How often the service failed there lately, where that is often.
    pub(super) fn failures(&self, service: &str, node: usize) -> usize {
        let failures = self.services.get(service).and_then(|shares| shares.failures.get(&node));
        failures.map(Vec::len).filter(|&count| count >= MANY_FAILURES).unwrap_or(0)
    }

    fn note_failure(&mut self, task: &Task) {
        if !matches!(task.status.state, TaskState::Failed | TaskState::Rejected) {
            return;
        }
        let node = self.slot(&task.node_id);
        let shares = self.services.entry(task.service_id.clone()).or_default();
        if !Arc::ptr_eq(&shares.spec, &task.spec) {
            if shares.spec != task.spec {
                shares.failures.clear();
            }
            shares.spec = Arc::clone(&task.spec);
        }
        let times = shares.failures.entry(node).or_default();
        times.push(task.lineage.ended_at);
        // More than these change nothing, and a crash loop must not fill the memory.
        if times.len() > MANY_FAILURES {
            times.remove(0);
        }
    }

    fn hold(&mut self, id: Id, held: Held) {
        let load = &mut self.nodes[held.node];
        load.left.change(held.spec.reservations(), &held.given, -1);
        load.ports.extend(&held.ports);
        if held.wanted {
            load.tasks += 1;
            let shares = self.services.entry(held.service.clone()).or_default();
            *shares.on.entry(held.node).or_default() += 1;
        }
        self.held.insert(id, held);
    }

    fn slot(&mut self, id: &Id) -> usize {
        if let Some(&index) = self.index.get(id) {
            return index;
        }
        let index = self.nodes.len();
        self.index.insert(id.clone(), index);
        self.nodes.push(Load {
            node: Arc::new(Node { id: id.clone(), ..Node::default() }),
            present: false,
            left: Left::default(),
            ports: BTreeSet::new(),
            tasks: 0,
        });
        index
    }
}
