//! Whether a task that is wanted has to end, and why.

use swarm_model::engine::Availability;
use swarm_model::node::NodeState;
use swarm_model::{Node, Task, TaskState};

use super::view::View;
use crate::scheduler::Fits;
use crate::scheduler::refusal::Filter;

/// What becomes of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Stays,
    /// It has ended of itself.
    Ended,
    /// It cannot stay where it is.
    Lost(String),
}

/// Looks at a wanted task and its node.
///
/// A node that nobody has heard of yet (a new leader's) is waited for: its tasks stay.
pub fn fate(task: &Task, view: &View<'_>) -> Fate {
    if task.status.state.is_end() {
        return Fate::Ended;
    }
    if task.node_id.is_empty() || task.status.state < TaskState::Assigned {
        return Fate::Stays;
    }
    let Some(node) = view.nodes.get(&task.node_id) else {
        return Fate::Lost(format!("its node {} was removed", task.node_id));
    };
    if node.status.state == NodeState::Down {
        return Fate::Lost(format!("its node {} is down", node.name()));
    }
    if node.spec.availability == Availability::Drain {
        return Fate::Lost(format!("its node {} is being drained", node.name()));
    }
    if !meets_constraints(task, node) {
        return Fate::Lost(format!("its node {} no longer meets its constraints", node.name()));
    }
    Fate::Stays
}

/// Whether a task may still be at work: it was given to a node that may carry it out.
pub fn may_run(task: &Task, view: &View<'_>) -> bool {
    let node = view.nodes.get(&task.node_id);
    task.holds_node() && node.is_some_and(|node| node.status.state != NodeState::Down)
}

fn meets_constraints(task: &Task, node: &Node) -> bool {
    let constrained = task.spec.placement.as_ref().is_some_and(|p| !p.constraints.is_empty());
    !constrained || Fits::new(&task.spec).refused_by(node) != Some(Filter::Constraint)
}
