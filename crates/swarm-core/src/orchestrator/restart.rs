//! Whether and when a task is followed by another in its slot.
//!
//! Docker's policy, and a back-off beyond it: a container that keeps ending soon after its start is
//! started less and less often, so that it fills neither the disk nor the store.

use swarm_model::service::TaskSpec;
use swarm_model::service::restart::{Condition, DEFAULT_DELAY};
use swarm_model::task::Lineage;
use swarm_model::{Task, TaskState, Time};

const SECOND: i64 = 1_000_000_000;

/// One that runs at least this long is no crash loop.
pub const STEADY: i64 = 30 * SECOND;

/// This many quick ends in a row keep Docker's constant delay; then it doubles.
pub const PATIENCE: u32 = 3;

/// The longest wait that the back-off comes to; a policy's own delay may be longer.
pub const LONGEST: i64 = 300 * SECOND;

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: why.
    Rest(String),
    /// Another task, which carries this on.
    Again(Lineage),
}

/// After a task that ended of itself; `spec` is the service's present template.
///
/// Everything is reckoned from the moment it ended, so the answer stays the same however late and
/// however often it is asked for.
pub fn after_end(task: &Task, spec: &TaskSpec, is_job: bool) -> Verdict {
    let completed = task.status.state == TaskState::Complete;
    match spec.condition() {
        Condition::None => return Verdict::Rest("its restart policy is none".to_owned()),
        Condition::OnFailure if completed => {
            return Verdict::Rest("it completed, and its restart policy is on-failure".to_owned());
        }
        Condition::Any if completed && is_job => {
            return Verdict::Rest("it completed".to_owned());
        }
        _ => {}
    }
    let policy = spec.restart_policy.clone().unwrap_or_default();
    let most = policy.max_attempts.unwrap_or(0);
    let window = policy.window.unwrap_or(0);
    let ended = task.lineage.ended_at;
    let mut lineage = Lineage { moves: false, ..task.lineage.clone() };
    lineage.recent.retain(|time| window > 0 && ended.since(*time) < window);
    if most > 0 {
        let count = if window > 0 {
            u64::try_from(lineage.recent.len()).unwrap_or(u64::MAX)
        } else {
            lineage.restarts
        };
        if count >= most {
            let times = if most == 1 { "time" } else { "times" };
            return Verdict::Rest(format!(
                "it was restarted {most} {times}, as often as it may be"
            ));
        }
        if window > 0 {
            lineage.recent.push(ended);
        }
    }
    let since = lineage.running_since;
    let is_quick = since.is_never() || ended.since(since) < STEADY;
    lineage.quick_failures = if is_quick { lineage.quick_failures.saturating_add(1) } else { 0 };
    lineage.restarts = lineage.restarts.saturating_add(1);
    (lineage.running_since, lineage.ended_at) = (Time::NEVER, Time::NEVER);
    let delay = policy.delay.unwrap_or(DEFAULT_DELAY);
    lineage.start_after = ended.plus(wait(delay, lineage.quick_failures));
    Verdict::Again(lineage)
}

/// After a task that could not stay on its node: at once, and not counted as an attempt.
pub fn after_loss(task: &Task, spec: &TaskSpec) -> Verdict {
    if spec.condition() == Condition::None {
        return Verdict::Rest("its restart policy is none".to_owned());
    }
    let never = Time::NEVER;
    let lineage = Lineage { moves: false, ..task.lineage.clone() };
    Verdict::Again(Lineage { start_after: never, running_since: never, ended_at: never, ..lineage })
}

/// Until when the next task is not even made. It is mostly made at once, to be ready when it may start;
/// one that follows a task which never ran would fail in being made ready, and the next one too.
pub fn not_before(newest: &Task, next: &Lineage, now: Time) -> Option<Time> {
    let ran = !newest.lineage.running_since.is_never();
    (!ran && next.start_after > now).then_some(next.start_after)
}

fn wait(delay: i64, quick: u32) -> i64 {
    let doublings = quick.saturating_sub(PATIENCE);
    if doublings == 0 {
        return delay;
    }
    let grown = delay.max(SECOND).saturating_mul(1_i64 << doublings.min(30));
    grown.min(LONGEST).max(delay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use swarm_model::task::TaskStatus;

    fn spec(policy: &Value) -> TaskSpec {
        serde_json::from_value(json!({ "RestartPolicy": policy })).unwrap()
    }

    fn ended(state: TaskState, at: i64, lineage: Lineage) -> Task {
        let status = TaskStatus { state, ..TaskStatus::default() };
        let lineage = Lineage { ended_at: Time(at * SECOND), ..lineage };
        Task { status, lineage, ..Task::default() }
    }

    #[test]
    fn conditions_are_docker_s() {
        for (condition, complete, failed, lost) in [
            ("none", false, false, false),
            ("on-failure", false, true, true),
            ("any", true, true, true),
        ] {
            let spec = spec(&json!({ "Condition": condition }));
            let again = |state| {
                let task = ended(state, 1, Lineage::default());
                matches!(after_end(&task, &spec, false), Verdict::Again(_))
            };
            assert_eq!(again(TaskState::Complete), complete, "{condition}");
            assert_eq!(again(TaskState::Failed), failed, "{condition}");
            let task = ended(TaskState::Running, 1, Lineage::default());
            assert_eq!(matches!(after_loss(&task, &spec), Verdict::Again(_)), lost, "{condition}");
        }
    }

    /// How long each of a row of failures is waited for, when a task runs for `lives` seconds.
    fn waits(policy: &Value, lives: i64, count: usize) -> Vec<i64> {
        let spec = spec(policy);
        let (mut lineage, mut now, mut waits) = (Lineage::default(), 0, Vec::new());
        for _ in 0..count {
            let start = now.max(lineage.start_after.0 / SECOND);
            lineage.running_since = Time(start * SECOND + 1);
            now = start + lives;
            match after_end(&ended(TaskState::Failed, now, lineage.clone()), &spec, false) {
                Verdict::Again(next) => {
                    waits.push(next.start_after.0 / SECOND - now);
                    lineage = next;
                }
                Verdict::Rest(_) => break,
            }
        }
        waits
    }

    #[test]
    fn crash_loops_back_off_and_others_do_not() {
        assert_eq!(waits(&json!({}), 1, 10), [5, 5, 5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(waits(&json!({"Delay": 0}), 1, 6), [0, 0, 0, 2, 4, 8]);
        assert_eq!(waits(&json!({"Delay": 600 * SECOND}), 1, 5), [600; 5]);
        assert_eq!(waits(&json!({}), 60, 6), [5; 6]);
    }

    #[test]
    fn attempts_end_for_ever_or_for_a_window() {
        assert_eq!(waits(&json!({"MaxAttempts": 3}), 60, 9).len(), 3);
        // One failure each 65 s: two of them are in a window of 130 s, never three.
        let window = |seconds: i64| json!({"MaxAttempts": 2, "Window": seconds * SECOND});
        assert_eq!(waits(&window(130), 60, 9).len(), 9);
        assert_eq!(waits(&window(131), 60, 9).len(), 2);
    }
}
