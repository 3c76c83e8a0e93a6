//! What a pool is started with.

use std::sync::Arc;
use std::time::Duration;

use swarm_backend::SwarmMode;
use swarm_core::placement::filter::FilterSet;
use swarm_core::placement::strategy::Strategy;
use swarm_engine::ClientOptions;
use swarm_model::{Policy, StalePolicy};

use crate::Election;

/// Settings of a pool; the flags of `swarm manage` in typed form.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// How a node is chosen among those that fit.
    pub strategy: Strategy,
    /// Which filters decide what fits, in their order.
    pub filters: FilterSet,
    /// Share of an engine's CPUs and memory that may be given away beyond what it has
    /// (`swarm.overcommit`; 0.05 is 5 %).
    pub overcommit: f64,
    /// How many more engines are tried when a create fails (`swarm.createretry`).
    pub create_retries: u32,
    /// Bounds of the random time between two full readings of an engine.
    pub refresh: (Duration, Duration),
    /// Failures in a row that take an engine down (`--engine-failure-retry`).
    pub failure_retries: u32,
    /// Read the engine's containers again when a list asks for one node
    /// (`--refresh-on-node-filter`).
    pub refresh_on_node_filter: bool,
    /// Read a container's engine again when a list asks for this name
    /// (`--container-name-refresh-filter`).
    pub refresh_on_name: Option<String>,
    /// What becomes of containers whose engine fails.
    pub reschedule: RescheduleConfig,
    /// This manager's part among several of one pool.
    pub election: Election,
    /// How engines are reached.
    pub engine: ClientOptions,
    /// Shown by `version` and `info`.
    pub build: Build,
    /// The swarm that the engines are nodes of; it says which of them are given containers.
    pub swarm: Option<Arc<dyn SwarmMode>>,
}

/// What becomes of containers whose engine fails.
#[derive(Debug, Clone, Copy)]
pub struct RescheduleConfig {
    /// The policy of containers that name none (`swarm.reschedule`).
    pub policy: Policy,
    /// What becomes of the copies that a failed engine brings back (`swarm.reschedule.stale`).
    pub stale: StalePolicy,
    /// How long an engine must be silent before anything is moved (`swarm.reschedule.grace`).
    pub grace: Duration,
    /// Whether the pool is evened out by itself after an engine joined or came back
    /// (`swarm.rebalance=auto`).
    pub rebalance: bool,
}

impl Default for RescheduleConfig {
    fn default() -> Self {
        let grace = Duration::from_secs(10);
        Self { policy: Policy::Off, stale: StalePolicy::Remove, grace, rebalance: false }
    }
}

/// What is running.
#[derive(Debug, Clone, Copy)]
pub struct Build {
    /// The project's version.
    pub version: &'static str,
    /// The commit, where known.
    pub commit: &'static str,
}
