//! Decisions of the cluster, pure and synchronous: `now` and `rng` are arguments, nothing here does
//! I/O, logs, sleeps or reads a clock.
//!
//! Reading order: [`placement`] (container -> engine), [`reschedule`] (engine fails -> moves). Runtimes feed these functions summaries and
//! carry the decisions out.

pub mod placement;
pub mod reschedule;
