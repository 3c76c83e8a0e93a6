//! Stores of a pool: what every adapter must pass, and real servers to pass it against.

mod any;
mod certificates;
mod cluster;
pub mod conformance;
pub mod consul;
mod etcd;
mod impostor;
mod meter;
mod server;
pub mod told;
pub mod zookeeper;

pub use any::{AnyStore, Kind};
pub use certificates::{Authority, Pair, Validity};
pub use consul::ConsulServer;
pub use etcd::{EtcdOptions, EtcdServer};
pub use impostor::{Impostor, Manner};
pub use meter::Meter;
pub use server::{Server, free_port};
pub use zookeeper::ZooKeeperServer;
