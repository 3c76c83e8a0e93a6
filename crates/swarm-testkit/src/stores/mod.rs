//! Stores of a pool: what every adapter must pass, and real servers to pass it against.

pub mod conformance;
mod server;
pub mod zookeeper;

pub use server::{Server, free_port};
pub use zookeeper::ZooKeeperServer;
