//! A manager of swarm mode: the cluster's objects as this manager sees them ([`replica`]), and what is
//! done with them.

pub mod replica;

pub use replica::{Batch, Object, Replica, Store, Tables};
