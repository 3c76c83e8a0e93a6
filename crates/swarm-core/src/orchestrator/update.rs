//! Rolling updates and rollbacks: which slots are brought to the service's spec now.
//!
//! Where an update stands is read from the tasks: a slot is *busy* from the making of its new task
//! until that ran (or ended) and the delay has passed. States and messages of `UpdateStatus` are
//! Docker's (API v1.28 and up).

use std::collections::BTreeMap;

use rand::Rng;
use swarm_model::service::{
    FailureAction, Order, Service, UpdateConfig, UpdateState, UpdateStatus,
};
use swarm_model::task::Lineage;
use swarm_model::{Id, Task, TaskState, Time};

use super::differs::differs;
use super::restart::{Verdict, after_end};
use super::slots::Slot;
use super::tend::leave_one;
use super::view::{Action, Place, Plan, Start, View};

/// Takes the service back to the spec before. Whoever carries out [`Action::RollBack`] calls it.
pub fn roll_back(service: &mut Service, status: UpdateStatus, now: Time) {
    if let Some(previous) = service.previous_spec.take() {
        service.spec = *previous;
    }
    service.update_status = Some(status);
    service.updated_at = now;
}

/// Where an update stands in one slot.
struct Progress {
    /// Something in it is not as the service wants it, and nothing was begun about that.
    to_do: bool,
    /// Something in it is not as the service wants it.
    dirty: bool,
    /// When the new task ran or ended; `None` where there is none or it has not yet.
    settled: Option<Time>,
    /// It has a new task that has not settled.
    begun: bool,
    /// What its next task carries on, after a new one that ended while the old one runs.
    lineage: Lineage,
    /// A new task that failed within the time it was watched.
    failed: Option<(Time, Id)>,
}

/// Carries an update on.
pub(super) fn plan<R: Rng + ?Sized>(
    view: &View<'_>,
    slots: &BTreeMap<Place, Slot<'_>>,
    now: Time,
    rng: &mut R,
    plan: &mut Plan,
) {
    for slot in slots.values() {
        leave_one(view, slot, plan);
    }
    let service = view.service;
    let status = service.update_status.as_ref();
    let state = status.map(|status| status.state);
    if matches!(state, Some(UpdateState::Paused | UpdateState::RollbackPaused)) {
        return;
    }
    let back = matches!(state, Some(UpdateState::RollbackStarted | UpdateState::RollbackCompleted));
    let config = if back { &service.spec.rollback_config } else { &service.spec.update_config };
    let config = config.clone().unwrap_or_default();
    let started = status.map_or(now, |status| status.started_at);
    let progress: BTreeMap<&Place, Progress> = slots
        .iter()
        .map(|(place, slot)| {
            let mut progress = look(view, slot, started, config.watch(), plan);
            // Its old task ended of itself just now, or leaves its node, and the one that follows is a
            // new one.
            progress.begun |= plan.makes(place);
            progress.to_do &= !plan.makes(place);
            (place, progress)
        })
        .collect();
    let dirty = progress.values().any(|slot| slot.dirty);
    let active = matches!(state, Some(UpdateState::Updating | UpdateState::RollbackStarted));
    if active && let Some(step) = failure(service, &progress, &config, back, (started, now)) {
        plan.step(step, "too many of its tasks failed");
        // Its next plan goes on with what the service is then.
        plan.wake_at(now);
        return;
    }
    if !dirty {
        if active {
            complete(&progress, &config, back, (started, now), plan);
        }
        return;
    }
    if status.is_none() {
        let status = UpdateStatus {
            state: UpdateState::Updating,
            started_at: now,
            completed_at: Time::NEVER,
            message: "update in progress".to_owned(),
        };
        plan.step(Action::Update(status), "tasks are not as the service wants them");
    }
    roll(view, slots, &progress, &config, now, rng, plan);
}

fn look(view: &View<'_>, slot: &Slot<'_>, started: Time, watch: i64, plan: &Plan) -> Progress {
    let is_new =
        |task: &Task| task.created_at >= started && differs(task, view.service, view).is_none();
    let new: Vec<&Task> = slot.tasks.iter().copied().filter(|task| is_new(task)).collect();
    let settled = new.iter().filter_map(|task| settled_at(task)).min();
    let mut wanted = slot.wanted(plan);
    let mut dirty = wanted.any(|task| differs(task, view.service, view).is_some());
    let mut lineage = Lineage::default();
    let has_new = new.iter().any(|task| plan.wants(task));
    let last = new.last().filter(|task| !has_new && ended_of_itself(task));
    if let Some(last) = last {
        match after_end(last, &view.service.spec.task_template, false) {
            Verdict::Again(next) => lineage = next,
            // The old one is left running; there is nothing more to be done.
            Verdict::Rest(_) => dirty = false,
        }
    }
    let failed = new.iter().filter(|task| failed_early(task, watch));
    Progress {
        to_do: dirty && !has_new,
        dirty,
        settled,
        begun: has_new && settled.is_none(),
        lineage,
        failed: failed.map(|task| (task.lineage.ended_at, task.id.clone())).min(),
    }
}

fn settled_at(task: &Task) -> Option<Time> {
    let since = task.lineage.running_since;
    if !since.is_never() {
        return Some(since);
    }
    task.status.state.is_end().then_some(task.lineage.ended_at)
}

fn ended_of_itself(task: &Task) -> bool {
    matches!(task.status.state, TaskState::Failed | TaskState::Rejected | TaskState::Complete)
}

/// Whether its end counts against the update: not when it was told to stop.
fn failed_early(task: &Task, watch: i64) -> bool {
    let since = task.lineage.running_since;
    ended_of_itself(task) && (since.is_never() || task.lineage.ended_at.since(since) <= watch)
}

fn failure(
    service: &Service,
    progress: &BTreeMap<&Place, Progress>,
    config: &UpdateConfig,
    back: bool,
    (started, now): (Time, Time),
) -> Option<Action> {
    let failed: Vec<_> = progress.values().filter_map(|slot| slot.failed.as_ref()).collect();
    #[allow(clippy::cast_precision_loss)] // Far below 2^52 slots.
    let ratio = failed.len() as f64 / progress.len().max(1) as f64;
    if config.failure_action == FailureAction::Continue || ratio <= config.max_failure_ratio {
        return None;
    }
    let last = &failed.iter().max()?.1;
    let of = format!("due to failure or early termination of task {last}");
    let status = |state, message| UpdateStatus {
        state,
        started_at: started,
        completed_at: Time::NEVER,
        message,
    };
    let can_go_back = config.failure_action == FailureAction::Rollback
        && !back
        && service.previous_spec.is_some();
    Some(match (can_go_back, back) {
        (true, _) => {
            let message = format!("update rolled back {of}");
            let state = UpdateState::RollbackStarted;
            Action::RollBack(UpdateStatus { started_at: now, ..status(state, message) })
        }
        (false, true) => {
            Action::Update(status(UpdateState::RollbackPaused, format!("rollback paused {of}")))
        }
        (false, false) => {
            Action::Update(status(UpdateState::Paused, format!("update paused {of}")))
        }
    })
}

fn complete(
    progress: &BTreeMap<&Place, Progress>,
    config: &UpdateConfig,
    back: bool,
    (started, now): (Time, Time),
    plan: &mut Plan,
) {
    if progress.values().any(|slot| slot.begun) {
        return;
    }
    let last = progress.values().filter_map(|slot| slot.settled).max();
    let watched = last.map_or(now, |last| last.plus(config.watch()));
    if watched > now {
        plan.wake_at(watched);
        return;
    }
    let (state, message) = if back {
        (UpdateState::RollbackCompleted, "rollback completed")
    } else {
        (UpdateState::Completed, "update completed")
    };
    let message = message.to_owned();
    let status = UpdateStatus { state, started_at: started, completed_at: now, message };
    plan.step(Action::Update(status), "all tasks are as the service wants them");
}

fn roll<R: Rng + ?Sized>(
    view: &View<'_>,
    slots: &BTreeMap<Place, Slot<'_>>,
    progress: &BTreeMap<&Place, Progress>,
    config: &UpdateConfig,
    now: Time,
    rng: &mut R,
    plan: &mut Plan,
) {
    let mut busy: u64 = 0;
    for slot in progress.values() {
        let free_at = slot.settled.map(|settled| settled.plus(config.delay));
        match free_at {
            Some(free_at) if free_at > now => {
                busy += 1;
                plan.wake_at(free_at);
            }
            _ => busy += u64::from(slot.begun),
        }
    }
    let free = match config.parallelism {
        0 => u64::MAX,
        parallelism => parallelism.saturating_sub(busy),
    };
    // What does not run anyway is mended first.
    let mut next: Vec<(bool, &Place, &Slot<'_>)> = slots
        .iter()
        .filter(|(place, _)| progress.get(place).is_some_and(|slot| slot.to_do))
        .map(|(place, slot)| (slot.runs(plan), place, slot))
        .collect();
    next.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    for (_, place, slot) in next.into_iter().take(usize::try_from(free).unwrap_or(usize::MAX)) {
        let old: Vec<_> = slot.wanted(plan).collect();
        let what = old.iter().find_map(|task| differs(task, view.service, view));
        let start_first = config.order == Order::StartFirst;
        let runs = old.iter().find(|task| task.status.state == TaskState::Running);
        let stays = runs.filter(|_| start_first).map(|task| task.id.clone());
        for task in old {
            if stays.as_ref() != Some(&task.id) {
                plan.desire(task, TaskState::Shutdown, "it is being updated");
            }
        }
        let lineage = progress.get(place).map(|slot| slot.lineage.clone()).unwrap_or_default();
        if lineage.start_after > now {
            plan.wake_at(lineage.start_after);
        }
        let start =
            Start { waits: !start_first || lineage.start_after > now, lineage: slot.next(lineage) };
        let why = format!("the service wants {}", what.unwrap_or("another task"));
        plan.create(view.service, place.clone(), start, (now, rng), why);
    }
}
