//! Which tasks of a service may be moved to even services out, and why none of them may.

use std::collections::BTreeMap;

use swarm_model::service::{Condition, Mode, UpdateState};
use swarm_model::{Id, Service, Task, TaskState};

use crate::rebalance::LABEL_REBALANCE;

/// Of a service's tasks those that may move; or why none may. `takes` says which nodes take tasks: what
/// is being drained leaves anyway, and a silent node is waited for. Services that are not replicated
/// are nobody's to even out.
pub fn movable<'t>(
    service: &Service,
    tasks: impl Iterator<Item = &'t Task>,
    takes: impl Fn(&Id) -> bool,
) -> Result<Vec<&'t Task>, String> {
    if !matches!(service.spec.mode.decided(), Mode::Replicated { .. }) {
        return Ok(Vec::new());
    }
    if service.spec.labels.get(LABEL_REBALANCE).is_some_and(|value| value == "off") {
        return Err(format!("its label {LABEL_REBALANCE} is off"));
    }
    if service.spec.task_template.condition() == Condition::None {
        return Err("its restart policy is none: nothing would follow".to_owned());
    }
    let state = service.update_status.as_ref().map(|status| status.state);
    if matches!(state, Some(UpdateState::Updating | UpdateState::RollbackStarted)) {
        return Err("it is being updated".to_owned());
    }
    let mut slots: BTreeMap<u64, &Task> = BTreeMap::new();
    for task in tasks.filter(|task| task.is_wanted()) {
        if task.status.state != TaskState::Running || slots.insert(task.slot, task).is_some() {
            return Err("not each of its slots has one task that runs".to_owned());
        }
    }
    Ok(slots.into_values().filter(|task| takes(&task.node_id)).collect())
}
