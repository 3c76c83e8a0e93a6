//! Decisions of the cluster, pure and synchronous: `now` and `rng` are arguments, nothing here does
//! I/O, logs, sleeps or reads a clock.
//!
//! Reading order: [`placement`] (container -> engine), [`reschedule`] (an engine fails -> what it had
//! moves), [`rebalance`] (moves that somebody asks for); then swarm mode's: [`task`] (who moves a task
//! through its states), [`scheduler`] (task -> node), [`orchestrator`] (service -> tasks). Runtimes feed these functions summaries and carry the decisions out.

pub mod orchestrator;
pub mod placement;
pub mod rebalance;
pub mod reschedule;
pub mod scheduler;
pub mod task;
