//! The cluster's own objects, as they are kept in a store: in pool mode what containers were wanted
//! and what is known of engines; in swarm mode [`cluster`], [`service`], [`task`], [`node`] and [`data`]
//! in Docker's JSON shape. No I/O: who keeps them where is the runtime's business.

pub mod base36;
pub mod cluster;
pub mod configuration;
pub mod data;
pub mod engine;
pub mod id;
pub mod intent;
pub mod kept;
pub mod meta;
pub mod network;
pub mod node;
pub mod removed;
pub mod secret;
pub mod service;
pub mod task;
pub mod time;

pub use cluster::{Cluster, ClusterSpec};
pub use configuration::Configuration;
pub use data::{DRIVER_FAILED, Data, DataSpec};
pub use engine::{Availability, EngineRecord, EngineRef};
pub use id::Id;
pub use intent::{Desired, Intent, Moved, Place, Policy, StalePolicy};
pub use kept::{FORMAT, FormatError, Kept};
pub use meta::{Rest, Version};
pub use network::{Network, NetworkSpec};
pub use node::Node;
pub use removed::Removed;
pub use secret::Secret;
pub use service::{Service, ServiceSpec};
pub use task::{Task, TaskState};
pub use time::Time;
