//! Stores of a pool: what every adapter must pass, and real servers to pass it against.

mod certificates;
pub mod conformance;
pub mod consul;
mod etcd;
mod meter;
mod server;
pub mod zookeeper;

pub use certificates::{Authority, Pair, Validity};
pub use consul::ConsulServer;
pub use etcd::{EtcdOptions, EtcdServer};
pub use meter::Meter;
pub use server::{Server, free_port};
pub use zookeeper::ZooKeeperServer;
