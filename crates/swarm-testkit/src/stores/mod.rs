//! Stores of a pool: what every adapter must pass, and real servers to pass it against.

pub mod conformance;
pub mod consul;
mod server;
pub mod zookeeper;

pub use consul::ConsulServer;
pub use server::{Server, free_port};
pub use zookeeper::ZooKeeperServer;
