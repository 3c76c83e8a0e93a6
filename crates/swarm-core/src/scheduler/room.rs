//! What a node must have for a task beside what it is: readiness, resources, free ports, and a place
//! under the limit per node.

use std::sync::Arc;

use swarm_model::engine::Availability;
use swarm_model::node::NodeState;
use swarm_model::service::{Protocol, Resources, TaskSpec};
use swarm_model::{Node, Task};

use super::board::{Load, fixed_ports};
use super::fits::Fits;
use super::refusal::Filter;

/// Whether a node is given tasks at all.
pub fn takes_tasks(node: &Node) -> bool {
    node.status.state == NodeState::Ready && node.spec.availability == Availability::Active
}

/// What tasks of one group ask for, read once.
#[derive(Debug)]
pub(super) struct Rules {
    fits: Fits,
    spec: Arc<TaskSpec>,
    ports: Vec<(Protocol, u16)>,
    most: u64,
}

impl Rules {
    pub fn new(task: &Task) -> Self {
        Self {
            fits: Fits::new(&task.spec),
            spec: Arc::clone(&task.spec),
            ports: fixed_ports(task),
            most: task.spec.placement.as_ref().map_or(0, |placement| placement.max_replicas),
        }
    }

    pub fn reservations(&self) -> Option<&Resources> {
        self.spec.reservations()
    }

    /// The first filter, in Docker's order, that the node does not pass; `share` are the tasks of
    /// the service that it has.
    pub fn refused_by(&self, load: &Load, share: u32) -> Option<Filter> {
        if !load.present || !takes_tasks(&load.node) {
            return Some(Filter::Ready);
        }
        if self.reservations().is_some_and(|wanted| !load.left.has(wanted)) {
            return Some(Filter::Resources);
        }
        self.fits.refused_by(&load.node).or_else(|| self.lacks_place(load, share))
    }

    /// The same, of a node that was suitable and has got tasks since.
    pub fn is_full(&self, load: &Load, share: u32) -> bool {
        self.reservations().is_some_and(|wanted| !load.left.has(wanted))
            || self.lacks_place(load, share).is_some()
    }

    fn lacks_place(&self, load: &Load, share: u32) -> Option<Filter> {
        if self.ports.iter().any(|port| load.ports.contains(port)) {
            return Some(Filter::HostPort);
        }
        (self.most > 0 && u64::from(share) >= self.most).then_some(Filter::MaxReplicas)
    }
}
