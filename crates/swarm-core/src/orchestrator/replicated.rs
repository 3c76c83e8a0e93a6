//! Replicated services: so many slots, each with one task.

use std::collections::BTreeMap;

use rand::Rng;
use swarm_model::node::NodeState;
use swarm_model::{Id, Task, TaskState, Time};

use super::fate::{Fate, fate};
use super::slots::{Slot, leaving, slots};
use super::tend::tend;
use super::update;
use super::view::{Place, Plan, Start, View};

pub(super) fn plan<R: Rng + ?Sized>(
    view: &View<'_>,
    replicas: u64,
    now: Time,
    rng: &mut R,
    plan: &mut Plan,
) {
    let mut slots = slots(view);
    let wanted = usize::try_from(replicas).unwrap_or(usize::MAX);
    if slots.len() > wanted {
        scale_down(view, &mut slots, wanted, plan);
    }
    for (place, slot) in &slots {
        tend(view, place, slot, now, rng, plan);
    }
    scale_up(view, &slots, replicas, now, rng, plan);
    update::plan(view, &slots, now, rng, plan);
}

/// The lowest free numbers are taken first.
fn scale_up<R: Rng + ?Sized>(
    view: &View<'_>,
    slots: &BTreeMap<Place, Slot<'_>>,
    replicas: u64,
    now: Time,
    rng: &mut R,
    plan: &mut Plan,
) {
    let leaving = leaving(view);
    let have = u64::try_from(slots.len()).unwrap_or(u64::MAX);
    let free = (1..).map(Place::Slot).filter(|place| !slots.contains_key(place));
    let missing = usize::try_from(replicas.saturating_sub(have)).unwrap_or(usize::MAX);
    for place in free.take(missing) {
        let reason = format!("the service wants {replicas} and has {have}");
        let start = Start { waits: leaving.contains(&place), ..Start::default() };
        plan.create(view.service, place, start, (now, rng), reason);
    }
}

/// What does not run, or cannot stay where it is, goes first, then what is on the nodes with the most of the
/// service, then the highest numbers.
///
/// What is on nodes that a new leader has not heard of yet may be all that is left, or gone: as long as there
/// are any, nothing is chosen among what runs. They are `ready` or `down` soon, and the service is planned again.
fn scale_down(
    view: &View<'_>,
    slots: &mut BTreeMap<Place, Slot<'_>>,
    wanted: usize,
    plan: &mut Plan,
) {
    let mut on: BTreeMap<Id, usize> = BTreeMap::new();
    let mut order: Vec<(bool, usize, Place)> = Vec::new();
    let mut is_unsure = false;
    for (place, slot) in slots.iter() {
        let runs = |task: &&Task| {
            task.status.state == TaskState::Running && fate(task, view) == Fate::Stays
        };
        let running = slot.wanted(plan).find(runs);
        is_unsure |= running.is_some_and(|task| is_awaited(task, view));
        // The n-th on its node: when the greatest are taken away, nodes are even.
        let nth = running.map_or(usize::MAX, |task| {
            let count = on.entry(task.node_id.clone()).or_default();
            *count += 1;
            *count
        });
        order.push((running.is_none(), nth, place.clone()));
    }
    order.sort();
    for (does_not_run, _, place) in order.split_off(wanted) {
        if is_unsure && wanted > 0 && !does_not_run {
            continue;
        }
        let Some(slot) = slots.remove(&place) else { continue };
        for task in slot.tasks {
            plan.desire(task, TaskState::Remove, format!("the service wants only {wanted}"));
        }
    }
}

/// Whether nobody has heard yet of the node where a task is.
fn is_awaited(task: &Task, view: &View<'_>) -> bool {
    let node = view.nodes.get(&task.node_id);
    node.is_some_and(|node| node.status.state == NodeState::Unknown)
}
