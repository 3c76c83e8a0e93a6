//! Whether a task that is wanted has to end, and why.

use swarm_model::engine::Availability;
use swarm_model::node::NodeState;
use swarm_model::service::update::drain_order;
use swarm_model::service::{Condition, Order};
use swarm_model::{Node, Service, Task, TaskState};

use super::view::View;
use crate::scheduler::Fits;
use crate::scheduler::refusal::Filter;

/// What becomes of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Stays,
    /// It has to leave its node, and runs until another runs in its place.
    Leaves(String),
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
    if !meets_constraints(task, node) {
        return Fate::Lost(format!("its node {} no longer meets its constraints", node.name()));
    }
    if task.spec.host.is_some()
        && let Some(what) = Fits::new(&task.spec).disallowed(node)
    {
        return Fate::Lost(format!("its node {} no longer allows {what}", node.name()));
    }
    let why = match node.spec.availability {
        Availability::Drain => format!("its node {} is being drained", node.name()),
        _ if task.lineage.moves => format!("it is moved off {} for an even spread", node.name()),
        _ => return Fate::Stays,
    };
    if is_followed_first(task, view.service) { Fate::Leaves(why) } else { Fate::Lost(why) }
}

/// Whether another is to run before this one ends: the service says so (for a move, also by its update
/// order), it does run, and there will be another.
fn is_followed_first(task: &Task, service: &Service) -> bool {
    let mode = service.spec.mode.decided();
    let drains = drain_order(&service.spec.labels) == Ok(Order::StartFirst);
    (drains || (task.lineage.moves && moves_start_first(service)))
        && !mode.is_global()
        && !mode.is_job()
        && task.status.state == TaskState::Running
        && service.spec.task_template.condition() != Condition::None
}

/// Whether a service's tasks that are moved are followed before they end: its label of drains or its
/// update order says so.
pub fn moves_start_first(service: &Service) -> bool {
    let update = service.spec.update_config.as_ref().map(|config| config.order);
    drain_order(&service.spec.labels) == Ok(Order::StartFirst) || update == Some(Order::StartFirst)
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
