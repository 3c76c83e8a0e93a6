//! A service's tasks by slot.

use std::collections::{BTreeMap, BTreeSet};

use swarm_model::task::Lineage;
use swarm_model::{Id, Task, TaskState, Time};

use super::fate::may_run;
use super::view::{Place, Plan, View};

/// The tasks of one slot, oldest first.
#[derive(Debug, Default)]
pub(super) struct Slot<'a> {
    pub tasks: Vec<&'a Task>,
    /// A task that is to be removed may still run there.
    pub leaving: bool,
}

/// All slots that are to be. Tasks that are to be removed belong to none.
pub(super) fn slots<'a>(view: &View<'a>) -> BTreeMap<Place, Slot<'a>> {
    let mut slots: BTreeMap<Place, Slot<'a>> = BTreeMap::new();
    for &task in view.tasks.iter().filter(|task| task.desired_state < TaskState::Remove) {
        slots.entry(place(view, task)).or_default().tasks.push(task);
    }
    for place in leaving(view) {
        if let Some(slot) = slots.get_mut(&place) {
            slot.leaving = true;
        }
    }
    for slot in slots.values_mut() {
        slot.tasks.sort_by(|a, b| order(a).cmp(&order(b)));
    }
    slots
}

/// Where tasks that are to be removed may still run: what is made there has to wait.
pub(super) fn leaving(view: &View<'_>) -> BTreeSet<Place> {
    let is_leaving = |task: &&&Task| task.desired_state == TaskState::Remove && may_run(task, view);
    view.tasks.iter().filter(is_leaving).map(|task| place(view, task)).collect()
}

/// The task's place.
pub(super) fn place(view: &View<'_>, task: &Task) -> Place {
    if view.service.spec.mode.decided().is_global() {
        Place::Node(task.node_id.clone())
    } else {
        Place::Slot(task.slot)
    }
}

/// Sorts the tasks of a slot from the oldest to the newest.
pub(super) fn order(task: &Task) -> (u64, Time, &Id) {
    (task.lineage.nth, task.created_at, &task.id)
}

impl<'a> Slot<'a> {
    /// The lineage of its next task.
    pub fn next(&self, lineage: Lineage) -> Lineage {
        Lineage { nth: self.newest().map_or(0, |task| task.lineage.nth + 1), ..lineage }
    }

    /// Its tasks that are wanted after the plan so far.
    pub fn wanted<'p>(&'p self, plan: &'p Plan) -> impl Iterator<Item = &'a Task> + 'p {
        self.tasks.iter().copied().filter(|task| plan.wants(task))
    }

    /// The last one made.
    pub fn newest(&self) -> Option<&'a Task> {
        self.tasks.last().copied()
    }

    /// Whether one that is wanted runs.
    pub fn runs(&self, plan: &Plan) -> bool {
        self.wanted(plan).any(|task| task.status.state == TaskState::Running)
    }
}
