//! Jobs: tasks that are to end well, so many of them or one on each node.
//!
//! Each update of a job is a new iteration; what is left of older ones is removed. A replicated job's slots
//! are numbered from 0, as Docker's: its client counts them so, and would wait for ever for one of the
//! number 0.

use std::collections::BTreeMap;

use rand::Rng;
use swarm_model::task::Lineage;
use swarm_model::{Task, TaskState, Time};

use super::fate::{Fate, fate, may_run};
use super::restart::{Verdict, after_end, after_loss, not_before};
use super::slots::{Slot, slots};
use super::tend::how_it_ended;
use super::view::{Place, Plan, Start, View};
use crate::scheduler::Fits;
use crate::scheduler::room::takes_tasks;

/// Why a place gets its first task.
const WANTED: &str = "the job wants it";

/// What a place of a job needs.
enum Need {
    /// Nothing: it has ended well, or is at work.
    Nothing { at_work: bool },
    /// Nothing any more: it failed as often as it may.
    GaveUp,
    /// A task, which carries this on.
    Task(Lineage, String),
}

pub(super) fn replicated<R: Rng + ?Sized>(
    view: &View<'_>,
    (concurrent, total): (u64, u64),
    now: Time,
    rng: &mut R,
    plan: &mut Plan,
) {
    let slots = present(view, plan);
    let mut at_work = 0;
    let mut open = Vec::new();
    for (place, slot) in &slots {
        match look(view, Some(slot), now, plan) {
            Need::Nothing { at_work: true } => at_work += 1,
            Need::Nothing { .. } | Need::GaveUp => {}
            Need::Task(lineage, why) => open.push((place.clone(), lineage, why)),
        }
    }
    let free = usize::try_from(concurrent.saturating_sub(at_work)).unwrap_or(usize::MAX);
    // Those of an older release were numbered from 1: it is their count that says what is left to do.
    let have = u64::try_from(slots.len()).unwrap_or(u64::MAX);
    let left = usize::try_from(total.saturating_sub(have)).unwrap_or(usize::MAX);
    let untouched = (0..total).map(Place::Slot).filter(|place| !slots.contains_key(place));
    let untouched = untouched
        .take(left.min(free.saturating_sub(open.len())))
        .map(|place| (place, Lineage::default(), WANTED.to_owned()));
    open.extend(untouched.collect::<Vec<_>>());
    for (place, lineage, why) in open.into_iter().take(free) {
        begin(view, place, lineage, why, now, rng, plan);
    }
}

pub(super) fn global<R: Rng + ?Sized>(view: &View<'_>, now: Time, rng: &mut R, plan: &mut Plan) {
    let slots = present(view, plan);
    let fits = Fits::new(&view.service.spec.task_template);
    for node in view.nodes.values() {
        let place = Place::Node(node.id.clone());
        let need = look(view, slots.get(&place), now, plan);
        if let Need::Task(lineage, why) = need
            && takes_tasks(node)
            && fits.refused_by(node).is_none()
        {
            let why = format!("{why}; {} is to run it", node.name());
            begin(view, place, lineage, why, now, rng, plan);
        }
    }
}

/// The present iteration's tasks by place; older ones are removed.
fn present<'a>(view: &View<'a>, plan: &mut Plan) -> BTreeMap<Place, Slot<'a>> {
    let iteration = view.service.job_status.clone().unwrap_or_default().job_iteration;
    let mut slots = slots(view);
    for slot in slots.values_mut() {
        let Slot { tasks, leaving } = slot;
        tasks.retain(|task| {
            let is_present = task.job_iteration.unwrap_or_default() == iteration;
            if !is_present {
                plan.desire(task, TaskState::Remove, "the job was begun anew");
                *leaving |= may_run(task, view);
            }
            is_present
        });
    }
    slots.retain(|_, slot| !slot.tasks.is_empty());
    slots
}

fn look(view: &View<'_>, slot: Option<&Slot<'_>>, now: Time, plan: &mut Plan) -> Need {
    let Some((slot, newest)) = slot.and_then(|slot| Some((slot, slot.newest()?))) else {
        return Need::Task(Lineage::default(), WANTED.to_owned());
    };
    if slot.tasks.iter().any(|task| task.status.state == TaskState::Complete) {
        return Need::Nothing { at_work: false };
    }
    let spec = &view.service.spec.task_template;
    let verdict = match fate(newest, view) {
        Fate::Stays if newest.is_wanted() => {
            start(view, slot, newest, now, plan);
            return Need::Nothing { at_work: true };
        }
        Fate::Stays => after_loss(newest, spec),
        // A job's task never leaves in order.
        Fate::Lost(why) | Fate::Leaves(why) => {
            plan.desire(newest, TaskState::Shutdown, why);
            after_loss(newest, spec)
        }
        Fate::Ended => {
            plan.desire(newest, TaskState::Shutdown, format!("it {}", how_it_ended(newest)));
            match newest.status.state {
                TaskState::Failed | TaskState::Rejected => after_end(newest, spec, true),
                _ => after_loss(newest, spec),
            }
        }
    };
    match verdict {
        Verdict::Rest(_) => Need::GaveUp,
        Verdict::Again(lineage) => {
            if let Some(moment) = not_before(newest, &lineage, now) {
                plan.wake_at(moment);
                return Need::Nothing { at_work: true };
            }
            Need::Task(slot.next(lineage), format!("{} {}", newest.id, how_it_ended(newest)))
        }
    }
}

/// Starts one that waits, as in any other slot.
fn start(view: &View<'_>, slot: &Slot<'_>, task: &Task, now: Time, plan: &mut Plan) {
    if task.desired_state >= TaskState::Complete {
        return;
    }
    let before =
        slot.leaving || slot.tasks.iter().any(|other| other.id != task.id && may_run(other, view));
    if task.lineage.start_after > now {
        plan.wake_at(task.lineage.start_after);
    } else if !before {
        plan.desire(task, TaskState::Complete, "nothing is in its way");
    }
}

fn begin<R: Rng + ?Sized>(
    view: &View<'_>,
    place: Place,
    lineage: Lineage,
    why: String,
    now: Time,
    rng: &mut R,
    plan: &mut Plan,
) {
    if lineage.start_after > now {
        plan.wake_at(lineage.start_after);
    }
    plan.create(view.service, place, Start { waits: true, lineage }, (now, rng), why);
}
