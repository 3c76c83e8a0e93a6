//! The port of a pool's shared store: a small key-value vocabulary that Consul, etcd, ZooKeeper and
//! the embedded store all have, with what leadership needs (leases, conditions, a guard).
//!
//! It leaves talking to a server to the adapters (`swarm-consul`, `swarm-etcd`, `swarm-zookeeper`,
//! `swarm-raft`), and what is kept to those who keep it (`swarm-discovery`, `swarm-pool`).
//!
//! Keys are flat paths below one root (`docker/swarm/nodes/10.0.0.1:2375`); a directory is the part
//! before the last slash, and only its direct children are listed and watched.

mod error;
mod layout;
mod options;
mod store;
mod url;

pub use error::StoreError;
pub use layout::Layout;
pub use options::StoreOptions;
pub use store::{Change, Expect, Guard, Item, KeyValue, Lease, Revision, Watch, Write};
pub use swarm_model::Secret;
pub use url::{StoreUrl, UrlError};

/// What every call of a store returns.
pub type Result<T> = std::result::Result<T, StoreError>;
