//! What is forgotten: tasks that hold nothing any more, beyond the history that people look at.

use std::collections::BTreeMap;

use swarm_model::{Task, TaskState};

use super::slots::{order, place};
use super::view::{Action, Place, Plan, View};

/// Deletes what may be forgotten, and gives up on what nobody will ever hear of.
pub(super) fn plan(view: &View<'_>, plan: &mut Plan) {
    let mut slots: BTreeMap<Place, Vec<&Task>> = BTreeMap::new();
    let global = view.service.spec.mode.decided().is_global();
    for &task in view.tasks {
        let removed = task.desired_state == TaskState::Remove;
        let is_homeless =
            task.status.state >= TaskState::Assigned && !view.nodes.contains_key(&task.node_id);
        let delete = |plan: &mut Plan, reason: &str| {
            plan.step(Action::Delete { task: task.id.clone() }, reason);
        };
        if !task.is_wanted() && task.status.state < TaskState::Assigned {
            delete(plan, "it was never given a node");
        } else if is_homeless && global && !task.is_wanted() {
            delete(plan, "its node was removed");
        } else if removed && (task.status.state.is_end() || is_homeless) {
            delete(plan, "it has ended and is to be removed");
        } else if is_homeless && !task.status.state.is_end() && !task.is_wanted() {
            plan.step(Action::Orphan { task: task.id.clone() }, "its node was removed");
        } else if !removed {
            slots.entry(place(view, task)).or_default().push(task);
        }
    }
    let is_job = view.service.spec.mode.decided().is_job();
    for tasks in slots.values_mut() {
        tasks.sort_by(|a, b| order(b).cmp(&order(a)));
        // The newest says why its slot rests, and a job's completions are counted.
        for task in tasks.iter().skip(view.history.max(1)) {
            let counts = is_job && task.status.state == TaskState::Complete;
            if task.status.state.is_end() && !task.is_wanted() && !counts {
                let reason = format!("its slot keeps {} tasks", view.history.max(1));
                plan.step(Action::Delete { task: task.id.clone() }, reason);
            }
        }
    }
}
