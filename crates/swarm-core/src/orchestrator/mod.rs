//! From what a service wants to what its tasks should be: `plan(&view, now, rng) -> Plan`.
//!
//! Reading order: [`view`] (what is looked at, and what a plan is), [`slots`], [`fate`] (must a task
//! end), [`restart`] (is it followed by another), [`differs`] (does a change restart it), [`tend`]
//! (one slot), [`update`] (rolling updates), then the modes [`replicated`], [`global`], [`job`], and
//! [`history`] (what is forgotten).
//!
//! `now` is the leader's clock, and never earlier than any `now` before it, also another leader's: the
//! runtime takes the later one of its clock and the newest time in the store.
//!
//! Leaves to the runtime: writing a plan in one transaction, asking again when something changed, at
//! [`Plan::wake`], and by period.
//!
//! Invariants: all that a plan needs is in the store, so a new leader goes on where the old one
//! stopped; a plan of a converged service is empty; a slot never has two tasks that are to run, but
//! for the update order start-first.

pub mod differs;
pub mod fate;
pub mod global;
pub mod history;
pub mod job;
pub mod replicated;
pub mod restart;
pub mod slots;
pub mod tend;
pub mod update;
pub mod view;

use rand::Rng;
use swarm_model::service::Mode;
use swarm_model::{Task, TaskState, Time};

pub use fate::moves_start_first;
pub use update::roll_back;
pub use view::{Action, Plan, Step, View};

/// What to do about one service now.
pub fn plan<R: Rng + ?Sized>(view: &View<'_>, now: Time, rng: &mut R) -> Plan {
    let mut plan = Plan::default();
    match view.service.spec.mode.decided() {
        Mode::Replicated { replicas } => {
            replicated::plan(view, replicas, now, rng, &mut plan);
        }
        Mode::Global => global::plan(view, now, rng, &mut plan),
        Mode::ReplicatedJob { concurrent, total } => {
            job::replicated(view, (concurrent, total), now, rng, &mut plan);
        }
        Mode::GlobalJob => job::global(view, now, rng, &mut plan),
    }
    history::plan(view, &mut plan);
    plan
}

/// What to do about the tasks of a service that was removed.
pub fn plan_removed(view: &View<'_>) -> Plan {
    let mut plan = Plan::default();
    let gone: Vec<&Task> = view.tasks.to_vec();
    for task in gone {
        plan.desire(task, TaskState::Remove, "its service was removed");
    }
    history::plan(view, &mut plan);
    plan
}
#[cfg(test)]
mod drain_tests;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod job_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod update_tests;
