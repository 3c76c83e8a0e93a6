//! Stores of a pool: what every adapter must pass, and real servers to pass it against.

mod certificates;
pub mod conformance;
mod etcd;
mod meter;
mod server;

pub use certificates::{Authority, Pair, Validity};
pub use etcd::{EtcdOptions, EtcdServer};
pub use meter::Meter;
pub use server::{Server, free_port};
