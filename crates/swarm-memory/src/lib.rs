//! A store in this process: the state machine of `swarm-store` and a timer for each lease. Nothing
//! outlives the process.
//!
//! A pool without a data folder keeps its state here, and so do tests, which can also make it fail
//! (`Memory::fail`). What it does is the machine's business; here is only what a machine lacks:
//! a clock, and somebody to wake watchers.
//!
//! Invariants: no lock is held across an await; all timing is tokio's, so that a test that pauses
//! time pauses leases too.

mod memory;
mod watch;

pub use memory::Memory;
