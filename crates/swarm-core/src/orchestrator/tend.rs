//! One slot of a service that is to run for ever: what ended is followed, what waits is started, and
//! of two that run one is left.

use rand::Rng;
use swarm_model::task::Lineage;
use swarm_model::{Service, Task, TaskState, Time};

use super::differs::differs;
use super::fate::{Fate, fate, may_run};
use super::restart::{Verdict, after_end, after_loss, not_before};
use super::slots::Slot;
use super::view::{Place, Plan, Start, View};

/// Looks after a slot. Whether it rests: nothing is to run in it until the spec changes.
pub(super) fn tend<R: Rng + ?Sized>(
    view: &View<'_>,
    place: &Place,
    slot: &Slot<'_>,
    now: Time,
    rng: &mut R,
    plan: &mut Plan,
) -> bool {
    let service = view.service;
    let (mut lost, mut leaving) = (None, None);
    for task in slot.tasks.iter().filter(|task| task.is_wanted()) {
        match fate(task, view) {
            Fate::Stays => {}
            // One of them is enough until another runs.
            Fate::Leaves(why) if leaving.is_some() => plan.desire(task, TaskState::Shutdown, why),
            Fate::Leaves(why) => leaving = Some((task, why)),
            Fate::Ended => {
                let words = format!("it {}", how_it_ended(task));
                plan.desire(task, TaskState::Shutdown, words);
            }
            Fate::Lost(why) => {
                plan.desire(task, TaskState::Shutdown, why.clone());
                lost = Some(why);
            }
        }
    }
    if slot.wanted(plan).next().is_some() {
        start_waiting(view, slot, now, plan);
        if let Some((old, why)) = leaving
            && slot.wanted(plan).all(|task| task.id == old.id)
        {
            run_first(view, place, slot, (old, why), now, rng, plan);
        }
        return false;
    }
    let Some(newest) = slot.newest() else { return false };
    if differs(newest, service, view).is_some() {
        let start = Start { waits: true, lineage: slot.next(Lineage::default()) };
        plan.create(
            service,
            place.clone(),
            start,
            (now, rng),
            "the service wants it otherwise now",
        );
        return false;
    }
    let (verdict, why) = follow(newest, service, lost);
    match verdict {
        Verdict::Rest(_) => true,
        Verdict::Again(lineage) => {
            if let Some(moment) = not_before(newest, &lineage, now) {
                plan.wake_at(moment);
                return false;
            }
            if lineage.start_after > now {
                plan.wake_at(lineage.start_after);
            }
            let start = Start { waits: true, lineage: slot.next(lineage) };
            plan.create(service, place.clone(), start, (now, rng), why);
            false
        }
    }
}

/// Makes a task that runs before the one ends that has to leave its node. Where it cannot run, that one
/// goes on, and the next is made as the restart policy says.
fn run_first<R: Rng + ?Sized>(
    view: &View<'_>,
    place: &Place,
    slot: &Slot<'_>,
    (old, why): (&Task, String),
    now: Time,
    rng: &mut R,
    plan: &mut Plan,
) {
    let Some(newest) = slot.newest() else { return };
    let lost = (newest.id == old.id).then_some(why);
    let (Verdict::Again(lineage), why) = follow(newest, view.service, lost) else { return };
    if lineage.start_after > now {
        plan.wake_at(lineage.start_after);
        return;
    }
    let start = Start { waits: false, lineage: slot.next(lineage) };
    plan.create(view.service, place.clone(), start, (now, rng), why);
}

/// What follows the newest task of a slot in which none is wanted.
fn follow(newest: &Task, service: &Service, lost: Option<String>) -> (Verdict, String) {
    let spec = &service.spec.task_template;
    match lost {
        Some(why) => (after_loss(newest, spec), format!("of {}: {why}", newest.id)),
        None if matches!(
            newest.status.state,
            TaskState::Complete | TaskState::Failed | TaskState::Rejected
        ) =>
        {
            let why = format!("{} {}", newest.id, how_it_ended(newest));
            (after_end(newest, spec, false), why)
        }
        // It was stopped, or is being: the slot is empty for a reason that is over.
        None => (after_loss(newest, spec), format!("{} was stopped", newest.id)),
    }
}

pub(super) fn how_it_ended(task: &Task) -> String {
    let state = match task.status.state {
        TaskState::Complete => "completed",
        TaskState::Failed => "failed",
        TaskState::Rejected => "was rejected",
        TaskState::Orphaned => "was orphaned",
        _ => "was stopped",
    };
    if task.status.err.is_empty() {
        state.to_owned()
    } else {
        format!("{state}: {}", task.status.err)
    }
}

/// Starts tasks that are made ready first, once their time has come and what was before them in the
/// slot has ended, or is on a node that is silent.
fn start_waiting(view: &View<'_>, slot: &Slot<'_>, now: Time, plan: &mut Plan) {
    let is_free =
        !slot.leaving && !slot.tasks.iter().any(|task| !plan.wants(task) && may_run(task, view));
    let waiting: Vec<_> =
        slot.wanted(plan).filter(|task| task.desired_state < TaskState::Running).collect();
    for task in waiting {
        if task.lineage.start_after > now {
            plan.wake_at(task.lineage.start_after);
        } else if is_free {
            plan.desire(task, TaskState::Running, "nothing is in its way");
        }
    }
}

/// Of several tasks that are wanted in a slot, leaves the one that the service wants, once it runs.
pub(super) fn leave_one(view: &View<'_>, slot: &Slot<'_>, plan: &mut Plan) {
    let wanted: Vec<_> = slot.wanted(plan).collect();
    if wanted.len() < 2 {
        return;
    }
    let right = wanted.iter().find(|task| {
        task.status.state == TaskState::Running
            && differs(task, view.service, view).is_none()
            && fate(task, view) == Fate::Stays
    });
    let Some(right) = right else { return };
    for task in wanted.iter().filter(|task| task.id != right.id) {
        plan.desire(task, TaskState::Shutdown, format!("{} runs in its place", right.id));
    }
}
