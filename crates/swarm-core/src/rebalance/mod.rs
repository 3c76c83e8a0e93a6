//! Moves that nobody's failure asks for: evening a pool out by its strategy, and draining an engine.
//!
//! Reading order: [`resident`] (a container, and whether it may move), `board` (the pool as it would
//! be after the moves so far), `load` (how much an engine is used), [`plan()`], `spread`, `binpack`,
//! [`drain()`].
//!
//! Invariants: each move passes all filters at its moment, when the moves before it are done and its
//! own container is not yet gone; a plan that was carried out whole leaves nothing to move; each
//! step makes a measure smaller that cannot fall for ever, so there is no to and fro.
//!
//! Leaves to the runtime: to carry moves out in order, as many at a time as it is allowed, each
//! begun with the write of [`crate::reschedule::transition::moving`]; to hold the name (engines'
//! names are unique only each for itself: the new copy has another name until the old one is gone).

mod binpack;
mod board;
mod drain;
mod evening;
mod load;
mod plan;
pub mod resident;
mod spread;

pub use drain::drain;
pub use evening::plan;
pub use plan::{Move, Plan, Pool, Settings, Stay};
pub use resident::{Cause, LABEL_REBALANCE, Movable, Resident, movable};

#[cfg(test)]
mod tests;
