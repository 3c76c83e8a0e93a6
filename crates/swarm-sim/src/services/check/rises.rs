//! A task's observed state only rises, by the owner of the move; its desired state only rises, by the
//! orchestrator.

use swarm_core::task::Owner;
use swarm_model::Task;
use swarm_model::TaskState::{Allocated, Assigned, New, Orphaned, Pending};

use super::Breach;

pub(crate) fn look(owner: Owner, old: Option<&Task>, new: &Task) -> Result<(), Breach> {
    let Some(old) = old else {
        let begins = owner == Owner::Orchestrator && new.status.state == New;
        return if begins { Ok(()) } else { Err(breach(owner, "makes a task", new)) };
    };
    let (from, to) = (old.status.state, new.status.state);
    if from != to {
        // Said once more, apart from the table that the program has.
        let by = match to {
            New => Owner::Orchestrator,
            Allocated | Pending => Owner::Allocator,
            Assigned => Owner::Scheduler,
            Orphaned => Owner::Reaper,
            _ => Owner::Agent,
        };
        if to < from || from.is_end() || owner != by {
            let words = format!("moves it from {} to {}", from.as_str(), to.as_str());
            return Err(breach(owner, &words, new));
        }
    }
    if old.desired_state != new.desired_state
        && (owner != Owner::Orchestrator || new.desired_state < old.desired_state)
    {
        return Err(breach(owner, "changes what is desired", new));
    }
    let same_place = old.node_id == new.node_id || (old.node_id.is_empty() && to == Assigned);
    if same_place { Ok(()) } else { Err(breach(owner, "moves it to another node", new)) }
}

fn breach(owner: Owner, what: &str, task: &Task) -> Breach {
    let words = format!("the {owner} {what}: {task:?}");
    Breach { rule: "states only rise and by their owner", words }
}
