//! A manager of swarm mode: the cluster's objects as this manager sees them, and what is done with
//! them.
//!
//! Reading order: [`replica`], [`control`] (what clients ask), [`reign`] (one leadership and its fence),
//! [`leader`] (services to tasks, tasks to nodes), [`dispatcher`] (what nodes are told and tell),
//! [`authority`] (the certificates of nodes), [`overview`] (the swarm at a glance), [`transport`] (the store's way to other managers),
//! [`ways`] (whether managers reach each other).

pub mod authority;
pub mod clock;
pub mod control;
pub mod dispatcher;
#[cfg(test)]
mod fixture;
pub mod leader;
pub mod overview;
pub mod reign;
pub mod replica;
pub mod transport;
pub mod ways;

pub use clock::Clock;
pub use control::Control;
pub use control::service_list::is_short;
pub use dispatcher::Dispatcher;
pub use reign::Reign;
pub use replica::{Batch, Object, Replica, Store, Tables};
