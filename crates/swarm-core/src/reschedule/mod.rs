//! Containers that move: what to do about wanted containers whose engine failed, came back with old
//! copies, or was left in the middle of a change.
//!
//! Reading order: [`view`] (what is known), [`verdict`] (whether an engine has failed),
//! [`depend`] (who must move before whom), `copies` and `decide` (one intent and what engines have of it),
//! [`plan()`], [`step`] (what it answers), and [`transition`] (how an intent is rewritten; the one place where
//! places and generations change).
//!
//! Invariants:
//! - the plan of a pool that is as wanted is empty; a plan that was carried out is not made again;
//! - beside the removal of its old copies, an intent has one step at most: who carries it out asks
//!   again afterwards;
//! - nothing is decided from what somebody else saw: silence counts from when this manager watched.
//!
//! What it leaves to the runtime, and must be kept for the plans to be safe:
//! - each step begins with the store's write of the transition, which depends on the intent as it
//!   was planned from and on the leader's guard; an engine is changed only after it, and only within
//!   the time fence of the lease, which is looked at just before the request goes out;
//! - one create request at most for each generation of an intent, never repeated: whatever its
//!   answer was, the next attempt has the next generation;
//! - no container is started, for a plan or for a client, while another copy of its intent is known
//!   to run;
//! - a container that is on its way out (`Drop`, `RemoveStale`) is looked up once more by its id
//!   before anything is done about it.

mod copies;
mod decide;
pub mod depend;
#[cfg(test)]
mod fixture;
mod plan;
pub mod step;
pub mod transition;
pub mod verdict;
pub mod view;

pub use plan::plan;
pub use step::{Action, Held, Plan, Step};
pub use verdict::Verdict;
pub use view::{
    Attempt, Confirmation, ContainerView, EngineView, Millis, Registration, Settings, State, View,
};
