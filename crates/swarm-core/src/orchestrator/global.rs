//! Global services: one task on each node that suits.

use rand::Rng;
use swarm_model::engine::Availability;
use swarm_model::node::NodeState;
use swarm_model::{Node, TaskState, Time};

use super::slots::{Slot, leaving, slots};
use super::tend::tend;
use super::update;
use super::view::{Place, Plan, Start, View};
use crate::scheduler::Fits;
use crate::scheduler::room::takes_tasks;

pub(super) fn plan<R: Rng + ?Sized>(view: &View<'_>, now: Time, rng: &mut R, plan: &mut Plan) {
    let fits = Fits::new(&view.service.spec.task_template);
    let mut slots = slots(view);
    slots.retain(|place, slot| stays(view, &fits, place, slot, plan));
    for (place, slot) in &slots {
        // A node that takes no tasks keeps what it has, and what ends there is not followed.
        if node_of(view, place).is_some_and(takes_tasks) {
            tend(view, place, slot, now, rng, plan);
        }
    }
    let leaving = leaving(view);
    for node in view.nodes.values() {
        let place = Place::Node(node.id.clone());
        if takes_tasks(node) && fits.refused_by(node).is_none() && !slots.contains_key(&place) {
            let reason = format!("the service runs on every node, {} is one", node.name());
            let start = Start { waits: leaving.contains(&place), ..Start::default() };
            plan.create(view.service, place, start, (now, rng), reason);
        }
    }
    // A new leader has not heard of all nodes yet: how far an update is cannot be said.
    let is_unheard = |place: &Place| {
        node_of(view, place).is_some_and(|node| node.status.state == NodeState::Unknown)
    };
    if slots.keys().any(is_unheard) {
        return;
    }
    slots.retain(|place, _| node_of(view, place).is_some_and(takes_tasks));
    update::plan(view, &slots, now, rng, plan);
}

fn node_of<'a>(view: &View<'a>, place: &Place) -> Option<&'a Node> {
    match place {
        Place::Node(id) => view.nodes.get(id).map(|node| &**node),
        Place::Slot(_) => None,
    }
}

/// Whether the node may have a task of the service; if not, what it has is ended. A silent node
/// keeps its task: there is no other place for it, and it may run on unharmed.
fn stays(view: &View<'_>, fits: &Fits, place: &Place, slot: &Slot<'_>, plan: &mut Plan) -> bool {
    let why = match node_of(view, place) {
        None => "its node was removed",
        Some(node) if node.status.state == NodeState::Down => return true,
        Some(node) if node.spec.availability == Availability::Drain => "its node is being drained",
        Some(node) if fits.refused_by(node).is_some() => "its node no longer suits the service",
        Some(_) => return true,
    };
    for task in slot.tasks.iter().filter(|task| task.is_wanted()) {
        plan.desire(task, TaskState::Shutdown, why);
    }
    // When the node suits again, its slot is tended as one whose task was stopped.
    false
}
