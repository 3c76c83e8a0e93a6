//! What is to be done next for one task. Pure: what is wanted and what the engine says of the container
//! are arguments, and every word that a status carries is chosen here.
//!
//! Invariants: a container is started once at most, and never after its task was told to have ended;
//! what ended is not moved; a container is removed only once its task is forgotten.

use swarm_model::TaskState;

use super::seen::{Health, Phase, Seen};

/// What is known of a task beside its container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What the orchestrator wants.
    pub desired: TaskState,
    /// Whether the manager forgot the task, or never knew of it.
    pub forgotten: bool,
    /// What was last said of it.
    pub told: TaskState,
    /// Whether it was stopped because its health check failed.
    pub unhealthy: bool,
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Say that the task has this state.
    Tell {
        /// The state.
        state: TaskState,
        /// In words; the last ones when `None`.
        message: Option<&'static str>,
        /// What went wrong.
        error: String,
    },
    /// Get the image and make the container.
    Prepare,
    /// Start the container.
    Start,
    /// Stop the container.
    Stop {
        /// Because its health check failed.
        unhealthy: bool,
    },
    /// Remove the container.
    Remove,
    /// Wait for news.
    Wait,
    /// Nothing is left of the task.
    Over,
}

fn tell(state: TaskState, message: &'static str) -> Step {
    Step::Tell { state, message: Some(message), error: String::new() }
}

fn fail(error: String) -> Step {
    Step::Tell { state: TaskState::Failed, message: None, error }
}

/// Decides.
pub fn next(known: &Known, seen: Option<&Seen>) -> Step {
    let stop = Step::Stop { unhealthy: false };
    let is_up = seen.is_some_and(|seen| seen.phase == Phase::Up);
    if known.forgotten {
        return match seen {
            None => Step::Over,
            Some(_) if is_up => stop,
            Some(_) => Step::Remove,
        };
    }
    if known.told.is_end() {
        return if is_up { stop } else { Step::Wait };
    }
    if known.desired > TaskState::Complete {
        return if is_up { stop } else { tell(TaskState::Shutdown, "shutdown") };
    }
    match seen {
        None => match known.told {
            TaskState::Accepted => tell(TaskState::Preparing, "preparing"),
            TaskState::Preparing => Step::Prepare,
            before if before < TaskState::Accepted => tell(TaskState::Accepted, "accepted"),
            _ => fail("container destroyed".to_owned()),
        },
        Some(seen) => match seen.phase {
            Phase::Created => created(known),
            Phase::Up => up(known, seen),
            Phase::Ended => ended(known, seen),
        },
    }
}

fn created(known: &Known) -> Step {
    match known.told {
        before if before < TaskState::Ready => tell(TaskState::Ready, "prepared"),
        _ if known.desired < TaskState::Running => Step::Wait,
        TaskState::Ready => tell(TaskState::Starting, "starting"),
        TaskState::Starting => Step::Start,
        // It was said to run, so this is not the container that ran.
        _ => fail("container destroyed".to_owned()),
    }
}

fn up(known: &Known, seen: &Seen) -> Step {
    match seen.health {
        Health::Bad => Step::Stop { unhealthy: true },
        _ if known.told == TaskState::Running => Step::Wait,
        Health::Good => tell(TaskState::Running, "started"),
        Health::Starting if known.told < TaskState::Starting => {
            tell(TaskState::Starting, "starting")
        }
        Health::Starting => Step::Wait,
    }
}

/// In the words of Docker's agent.
fn ended(known: &Known, seen: &Seen) -> Step {
    let cause = match () {
        () if known.unhealthy => "unhealthy container",
        () if !seen.error.is_empty() => seen.error.as_str(),
        () if seen.out_of_memory => "out of memory",
        () => "",
    };
    match seen.exit_code {
        0 if known.unhealthy => fail(cause.to_owned()),
        0 => tell(TaskState::Complete, "finished"),
        code if cause.is_empty() => fail(format!("task: non-zero exit ({code})")),
        code => fail(format!("task: non-zero exit ({code}): {cause}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(desired: TaskState, told: TaskState) -> Known {
        Known { desired, forgotten: false, told, unhealthy: false }
    }

    fn seen(phase: Phase) -> Seen {
        Seen { phase, ..Seen::made("c".into(), "t".into()) }
    }

    fn told(step: Step) -> (TaskState, String) {
        match step {
            Step::Tell { state, error, .. } => (state, error),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_task_goes_its_way_up() {
        use TaskState::{Accepted, Assigned, Preparing, Ready, Running, Starting};
        let at = |state| known(Running, state);
        assert_eq!(told(next(&at(Assigned), None)).0, Accepted);
        assert_eq!(told(next(&at(Accepted), None)).0, Preparing);
        assert_eq!(next(&at(Preparing), None), Step::Prepare);
        let made = seen(Phase::Created);
        assert_eq!(told(next(&at(Preparing), Some(&made))).0, Ready);
        assert_eq!(next(&known(Ready, Ready), Some(&made)), Step::Wait);
        assert_eq!(told(next(&at(Ready), Some(&made))).0, Starting);
        assert_eq!(next(&at(Starting), Some(&made)), Step::Start);
        let runs = seen(Phase::Up);
        let checked = Seen { health: Health::Starting, ..runs.clone() };
        assert_eq!(next(&at(Starting), Some(&checked)), Step::Wait);
        assert_eq!(told(next(&at(Starting), Some(&runs))).0, Running);
        assert_eq!(next(&at(Running), Some(&runs)), Step::Wait);
    }

    #[test]
    fn what_runs_is_adopted_wherever_its_manager_thinks_it_is() {
        for state in [TaskState::Assigned, TaskState::Preparing, TaskState::Starting] {
            let step = next(&known(TaskState::Running, state), Some(&seen(Phase::Up)));
            assert_eq!(told(step).0, TaskState::Running, "{state:?}");
        }
    }

    #[test]
    fn ends_are_told_in_docker_s_words() {
        let running = known(TaskState::Running, TaskState::Running);
        let ended = |exit_code, error: &str| Seen {
            exit_code,
            error: error.to_owned(),
            ..seen(Phase::Ended)
        };
        assert_eq!(told(next(&running, Some(&ended(0, "")))), (TaskState::Complete, String::new()));
        for (known, seen, words) in [
            (&running, Some(ended(3, "")), "task: non-zero exit (3)"),
            (&running, Some(ended(128, "no shim")), "task: non-zero exit (128): no shim"),
            (
                &Known { unhealthy: true, ..running.clone() },
                Some(ended(143, "")),
                "task: non-zero exit (143): unhealthy container",
            ),
            (
                &Known { unhealthy: true, ..running.clone() },
                Some(ended(0, "")),
                "unhealthy container",
            ),
            (&running, None, "container destroyed"),
            (&running, Some(seen(Phase::Created)), "container destroyed"),
        ] {
            assert_eq!(told(next(known, seen.as_ref())), (TaskState::Failed, words.to_owned()));
        }
        let sick = Seen { health: Health::Bad, ..seen(Phase::Up) };
        assert_eq!(next(&running, Some(&sick)), Step::Stop { unhealthy: true });
    }

    #[test]
    fn what_is_over_stays_over_and_goes_when_it_is_forgotten() {
        let stop = Step::Stop { unhealthy: false };
        for state in TaskState::ALL.into_iter().filter(|state| state.is_end()) {
            let over = known(TaskState::Running, state);
            assert_eq!(next(&over, Some(&seen(Phase::Up))), stop);
            for left in [None, Some(seen(Phase::Ended)), Some(seen(Phase::Created))] {
                assert_eq!(next(&over, left.as_ref()), Step::Wait);
            }
        }
        let unwanted = known(TaskState::Shutdown, TaskState::Running);
        assert_eq!(next(&unwanted, Some(&seen(Phase::Up))), stop);
        assert_eq!(told(next(&unwanted, Some(&seen(Phase::Ended)))).0, TaskState::Shutdown);
        let gone = Known { forgotten: true, ..unwanted };
        assert_eq!(next(&gone, Some(&seen(Phase::Up))), stop);
        assert_eq!(next(&gone, Some(&seen(Phase::Ended))), Step::Remove);
        assert_eq!(next(&gone, None), Step::Over);
    }

    /// Whatever is known and seen: what is told only rises, and only what is wanted is started.
    #[test]
    fn told_states_only_rise() {
        let containers = [None, Some(Phase::Created), Some(Phase::Up), Some(Phase::Ended)];
        for desired in TaskState::ALL {
            for before in TaskState::ALL {
                for phase in containers {
                    let known = known(desired, before);
                    let seen = phase.map(seen);
                    match next(&known, seen.as_ref()) {
                        Step::Tell { state, .. } => assert!(state > before, "{known:?} {phase:?}"),
                        Step::Start | Step::Prepare => {
                            assert!(desired <= TaskState::Complete && !before.is_end());
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}
