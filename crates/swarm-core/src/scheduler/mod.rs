//! Task -> node, as Docker's swarm mode decides it: hard filters, spread preferences, then the node
//! with the fewest tasks of the service, then the one with the fewest tasks.
//!
//! Reading order: [`amounts`] (what is reserved), [`board`] (one summary per node), [`fits`] (what a
//! node must be), [`room`] (what it must have left), [`tree`] (preferences and order), [`assign()`],
//! [`even`] and [`movable`] (moves that somebody asks for).
//!
//! It is not [`crate::placement`], which is classic Swarm's: that language has patterns and soft
//! rules, looks at containers and images, and ranks by shares of resources.
//!
//! Invariants: resources are never overbooked and a host port is given once per node, whatever the
//! states of the tasks that hold them, as long as the board was told of them.

pub mod amounts;
pub mod assign;
pub mod board;
pub mod even;
pub mod fits;
pub mod movable;
pub mod refusal;
pub mod room;
pub mod tree;

pub use assign::{Assignment, assign};
pub use board::Board;
pub use fits::Fits;
pub use refusal::{Filter, Refusal};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
