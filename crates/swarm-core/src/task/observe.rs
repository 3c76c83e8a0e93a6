//! Writing a move into a task.

use swarm_model::task::TaskStatus;
use swarm_model::{Task, TaskState, Time};

use super::transition::{self, Forbidden, Owner};

/// Writes what `owner` observed. Whether anything changed.
///
/// More may be said about a state that the task already has by whoever looks after it then; a word
/// that is older than what is known changes nothing.
pub fn observe(
    task: &mut Task,
    owner: Owner,
    status: TaskStatus,
    now: Time,
) -> Result<bool, Forbidden> {
    let (from, to) = (task.status.state, status.state);
    if from == to && owner == transition::keeper(from) {
        if task.status == status || status.timestamp < task.status.timestamp {
            return Ok(false);
        }
    } else {
        transition::check(owner, from, to)?;
        // Delays are reckoned from these: a node's clock may be wrong by hours.
        if to == TaskState::Running {
            task.lineage.running_since = now;
        } else if to.is_end() {
            task.lineage.ended_at = now;
        }
    }
    task.status = status;
    task.updated_at = now;
    Ok(true)
}

/// Writes what the orchestrator desires. Whether anything changed: a desired state never falls.
pub fn desire(task: &mut Task, state: TaskState, now: Time) -> bool {
    if state <= task.desired_state {
        return false;
    }
    task.desired_state = state;
    task.updated_at = now;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: TaskState, at: i64) -> TaskStatus {
        TaskStatus { state, timestamp: Time(at), ..TaskStatus::default() }
    }

    #[test]
    fn the_start_and_the_end_are_the_manager_s() {
        let mut task = Task::default();
        for (owner, state, at) in [
            (Owner::Allocator, TaskState::Pending, 1),
            (Owner::Scheduler, TaskState::Assigned, 2),
            (Owner::Agent, TaskState::Running, 3),
            (Owner::Agent, TaskState::Running, 4),
            (Owner::Agent, TaskState::Failed, 5),
        ] {
            assert_eq!(observe(&mut task, owner, status(state, at), Time(at + 100)), Ok(true));
        }
        assert_eq!((task.lineage.running_since, task.lineage.ended_at), (Time(103), Time(105)));
        let late = observe(&mut task, Owner::Agent, status(TaskState::Running, 6), Time(9));
        assert!(late.is_err());
        assert_eq!(task.status, status(TaskState::Failed, 5));
    }

    #[test]
    fn old_words_change_nothing() {
        let mut task = Task { status: status(TaskState::Running, 5), ..Task::default() };
        let word = TaskStatus { message: "old".into(), ..status(TaskState::Running, 4) };
        assert_eq!(observe(&mut task, Owner::Agent, word, Time(9)), Ok(false));
        assert!(
            observe(&mut task, Owner::Scheduler, status(TaskState::Running, 6), Time(9)).is_err()
        );
    }

    #[test]
    fn desires_only_rise() {
        let mut task = Task::default();
        assert!(desire(&mut task, TaskState::Shutdown, Time(1)));
        assert!(!desire(&mut task, TaskState::Running, Time(2)));
        assert_eq!((task.desired_state, task.updated_at), (TaskState::Shutdown, Time(1)));
    }
}
