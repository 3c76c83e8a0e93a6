//! The ports under the Docker API: what a surface may ask of whatever stands behind it.
//!
//! A surface (`swarm-api`) routes, checks and decodes; a runtime (`swarm-pool`, later the
//! swarm-mode manager) implements these traits. Neither knows the other. One file, one resource.
//!
//! Invariants: every method returns an [`ApiError`] a person can act on; every call has a
//! deadline unless it streams; dropping the returned future or body abandons the work.

mod attachments;
mod build;
mod containers;
mod exchange;
mod forward;
mod images;
mod local;
mod networks;
mod nodes;
mod overview;
mod plugins;
mod secrets;
mod services;
mod sights;
mod swarm_mode;
mod swarms;
mod system;
mod volumes;

pub use attachments::Attachments;
pub use build::Builds;
pub use containers::{Containers, Effect};
pub use exchange::{
    Body, BoxError, Duplex, Exchange, ObjectPath, Reply, Upgraded, empty, full, read_whole,
};
pub use forward::{Forward, Forwarded, Onward};
pub use images::Images;
pub use local::{Local, Part};
pub use networks::Networks;
pub use nodes::{Nodes, Pools};
pub use overview::{
    ALWAYS, Asked, ContainerSight, MoveSight, NOWHERE, NodeSight, Overview, PoolSight,
    ServiceSight, TaskSight, Waiting, Wanted,
};
pub use plugins::Plugins;
pub use secrets::{Configs, Secrets};
pub use services::{Logs, Services, Tasks};
pub use sights::{SightLine, Sights};
pub use swarm_docker::ApiError;
pub use swarm_mode::{InSwarm, OfNetworks, SwarmMode};
pub use swarms::Swarms;
pub use system::{BuilderVersion, Served, System};
pub use volumes::{Volumes, no_cluster_volumes, refuse_cluster_volume};

/// What every port returns.
pub type Result<T> = std::result::Result<T, ApiError>;

/// Everything the Docker API needs behind it.
pub trait Backend:
    Containers
    + Images
    + Networks
    + Volumes
    + System
    + Builds
    + Plugins
    + Nodes
    + Pools
    + Sights
    + InSwarm
    + 'static
{
}
impl<T> Backend for T where
    T: Containers
        + Images
        + Networks
        + Volumes
        + System
        + Builds
        + Plugins
        + Nodes
        + Pools
        + Sights
        + InSwarm
        + 'static
{
}

/// Everything the node endpoint needs behind it: this node's own engine, with swarm mode built in.
pub trait NodeBackend:
    Local + Swarms + Nodes + Pools + Services + Tasks + Logs + Secrets + Configs + Attachments + 'static
{
}
impl<T> NodeBackend for T where
    T: Local
        + Swarms
        + Nodes
        + Pools
        + Services
        + Tasks
        + Logs
        + Secrets
        + Configs
        + Attachments
        + 'static
{
}
