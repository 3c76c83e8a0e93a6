//! A service's tasks by slot.

use std::collections::BTreeMap;

use swarm_model::{Task, TaskState};

use super::view::{Place, Plan, View};

/// The tasks of one slot, oldest first.
#[derive(Debug, Default)]
pub(super) struct Slot<'a> {
    pub tasks: Vec<&'a Task>,
}

/// All slots that are to be. Tasks that are to be removed belong to none.
pub(super) fn slots<'a>(view: &View<'a>) -> BTreeMap<Place, Slot<'a>> {
    let mut slots: BTreeMap<Place, Slot<'a>> = BTreeMap::new();
    let global = view.service.spec.mode.decided().is_global();
    for &task in view.tasks.iter().filter(|task| task.desired_state < TaskState::Remove) {
        let place = if global { Place::Node(task.node_id.clone()) } else { Place::Slot(task.slot) };
        slots.entry(place).or_default().tasks.push(task);
    }
    for slot in slots.values_mut() {
        slot.tasks.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    }
    slots
}

impl<'a> Slot<'a> {
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
