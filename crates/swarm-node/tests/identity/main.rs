//! A node's identity against real managers: joining, renewal, and what is told when neither works.

#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail as its tests may.

mod joining;
// The same managers that swarm-manager's own tests stand on.
#[allow(dead_code)]
#[path = "../../../swarm-manager/tests/gate/manager.rs"]
mod manager;
mod renewing;
