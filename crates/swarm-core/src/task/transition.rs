//! The one table of who owns which move of a task's observed state.

use std::fmt;

use swarm_model::TaskState::{
    self, Accepted, Allocated, Assigned, Complete, New, Orphaned, Pending, Rejected, Running,
    Starting,
};

/// Who moves tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// Makes tasks, in state new, and says what is desired.
    Orchestrator,
    /// Gives what the cluster gives.
    Allocator,
    /// Gives a node.
    Scheduler,
    /// Runs it.
    Agent,
    /// Gives up on tasks whose node is away for too long.
    Reaper,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Orchestrator => "orchestrator",
            Self::Allocator => "allocator",
            Self::Scheduler => "scheduler",
            Self::Agent => "agent",
            Self::Reaper => "reaper",
        })
    }
}

/// Owner, first and last state it may move from, first and last state it may move to. That states
/// only rise is checked beside it.
const MOVES: [(Owner, [TaskState; 2], [TaskState; 2]); 5] = [
    (Owner::Allocator, [New, Allocated], [Allocated, Pending]),
    (Owner::Scheduler, [Pending, Pending], [Assigned, Assigned]),
    (Owner::Agent, [Assigned, Starting], [Accepted, Rejected]),
    (Owner::Agent, [Running, Running], [Complete, Rejected]),
    (Owner::Reaper, [Assigned, Running], [Orphaned, Orphaned]),
];

/// A move that is not in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {owner} may not move a task from {} to {}", from.as_str(), to.as_str())]
pub struct Forbidden {
    /// Who tried.
    pub owner: Owner,
    /// The task's state.
    pub from: TaskState,
    /// The state it was to have.
    pub to: TaskState,
}

/// Checks a move.
pub fn check(owner: Owner, from: TaskState, to: TaskState) -> Result<(), Forbidden> {
    let within = |[first, last]: [TaskState; 2], state| (first..=last).contains(&state);
    let allowed = MOVES.iter().any(|&(who, starts, ends)| {
        who == owner && within(starts, from) && within(ends, to) && from < to
    });
    if allowed { Ok(()) } else { Err(Forbidden { owner, from, to }) }
}

/// Who may say more about a task that stays in its state.
pub fn keeper(state: TaskState) -> Owner {
    match state {
        New => Owner::Allocator,
        Allocated | Pending => Owner::Scheduler,
        Orphaned => Owner::Reaper,
        _ => Owner::Agent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNERS: [Owner; 5] =
        [Owner::Orchestrator, Owner::Allocator, Owner::Scheduler, Owner::Agent, Owner::Reaper];

    #[test]
    fn a_move_has_one_owner_at_most_and_rises() {
        for from in TaskState::ALL {
            for to in TaskState::ALL {
                let owners: Vec<_> =
                    OWNERS.iter().filter(|owner| check(**owner, from, to).is_ok()).collect();
                assert!(owners.len() <= 1, "{from:?} {to:?} {owners:?}");
                assert!(owners.is_empty() || from < to && !from.is_end(), "{from:?} {to:?}");
                assert!(to != TaskState::Remove || owners.is_empty(), "only ever desired");
            }
        }
    }

    #[test]
    fn every_observed_state_can_be_reached() {
        let reached = |to| {
            OWNERS.iter().any(|&by| TaskState::ALL.iter().any(|&from| check(by, from, to).is_ok()))
        };
        for to in TaskState::ALL {
            let is_reached = !matches!(to, TaskState::New | TaskState::Remove);
            assert_eq!(reached(to), is_reached, "{to:?}");
        }
    }

    #[test]
    fn a_refusal_names_who_and_what() {
        let error = check(Owner::Agent, TaskState::Failed, TaskState::Running).unwrap_err();
        assert_eq!(error.to_string(), "the agent may not move a task from failed to running");
    }
}
