//! What placement knows about one engine: a summary small enough to clone and compare, kept up to
//! date by the runtime that watches the engine.
//!
//! Nothing here is per container: counts, sums and sets only. What filters need to know about
//! single containers they ask through [`super::containers::ContainerLookup`].

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use swarm_model::Availability;

use super::images::ImageIndex;
use super::ports::PortSet;

/// An engine's id, as `GET /info` gives it; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// Wraps an engine's id.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for NodeId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An amount of processor and memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources {
    /// Billionths of one CPU.
    pub nano_cpus: i64,
    /// Bytes.
    pub memory: i64,
}

/// Billionths in one CPU.
pub const NANO: i64 = 1_000_000_000;

impl Resources {
    /// Whole CPUs and bytes.
    pub fn new(cpus: i64, memory: i64) -> Self {
        Self { nano_cpus: cpus.saturating_mul(NANO), memory }
    }

    /// What an engine of this size offers when `ratio` more than there is may be given away
    /// (`--cluster-opt swarm.overcommit=0.05` gives 5 % more). Like classic, whole percents count.
    #[must_use]
    pub fn with_overcommit(self, ratio: f64) -> Self {
        #[allow(clippy::cast_possible_truncation)]
        // Out of range saturates, which is what is meant.
        let percent = (ratio * 100.0).round() as i64;
        let more = |amount: i64| {
            let extra = i128::from(amount) * i128::from(percent) / 100;
            i64::try_from(i128::from(amount) + extra).unwrap_or(i64::MAX).max(0)
        };
        Self { nano_cpus: more(self.nano_cpus), memory: more(self.memory) }
    }

    /// The sum, which never overflows.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            nano_cpus: self.nano_cpus.saturating_add(other.nano_cpus),
            memory: self.memory.saturating_add(other.memory),
        }
    }
}

/// Whether an engine takes new containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does. `indicator` is 1 to 100: how well its last requests went (100: all well).
    Healthy {
        /// See [`Health::after_failures`].
        indicator: u8,
    },
    /// It does not: `pending`, `unhealthy`, `disconnected`, `maintenance`.
    Unhealthy {
        /// The state's name, which reads well after "is".
        state: &'static str,
        /// The last error; empty where there is none.
        error: Arc<str>,
    },
}

impl Health {
    /// All well.
    pub const GOOD: Self = Self::Healthy { indicator: 100 };

    /// Classic's health indicator: the share of the allowed failures in a row (`limit`, from
    /// `--engine-failure-retry`) that an engine has left, in percent. An engine that has used them
    /// up is the runtime's to declare unhealthy; here it keeps the lowest degree.
    pub fn after_failures(failures: u32, limit: u32) -> Self {
        let limit = limit.max(1);
        let used = u64::from(failures.min(limit)) * 100 / u64::from(limit);
        let indicator = u8::try_from(100u64.saturating_sub(used)).unwrap_or(100).max(1);
        Self::Healthy { indicator }
    }

    /// Whether new containers may go there.
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy { .. })
    }

    /// 1 to 100, or 0 when not healthy.
    pub fn indicator(&self) -> u8 {
        match self {
            Self::Healthy { indicator } => *indicator,
            Self::Unhealthy { .. } => 0,
        }
    }
}

/// One engine, as placement sees it. Cloning copies no list: hand out `Arc<NodeSummary>` anyway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSummary {
    /// The engine's id.
    pub id: NodeId,
    /// The engine's name (its host name).
    pub name: Arc<str>,
    /// Where its API is reached, `host:port` or a socket's path.
    pub address: Arc<str>,
    /// The address that published ports are reached at.
    pub ip: Arc<str>,
    /// The engine's own labels, and the standard ones: `storagedriver`, `executiondriver`,
    /// `kernelversion`, `operatingsystem`, `ostype`, `architecture`.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Whether it takes new containers.
    pub health: Health,
    /// Whether a person lets it be given containers.
    pub availability: Availability,
    /// CPUs the engine really has; [`super::cpu`] needs it to turn CPUs into shares.
    pub cpus: i64,
    /// What may be reserved, overcommit included: [`Resources::with_overcommit`].
    pub total: Resources,
    /// Sum of what its containers, running or not, have reserved; held reservations included when
    /// the summary comes from [`super::reservation::Board`].
    pub reserved: Resources,
    /// Containers in every state, as classic counts them; held reservations as for `reserved`.
    pub containers: u32,
    /// Host ports published by its containers, running or not.
    pub ports: PortSet,
    /// Ports exposed by containers that run in the host's network.
    pub host_ports: PortSet,
    /// Its images.
    pub images: Arc<ImageIndex>,
}

impl NodeSummary {
    /// A healthy, empty engine without resources: fill in what is known.
    pub fn new(id: &str, name: &str) -> Self {
        Self {
            id: NodeId::new(id),
            name: name.into(),
            address: "".into(),
            ip: "".into(),
            labels: Arc::default(),
            health: Health::GOOD,
            availability: Availability::Active,
            cpus: 0,
            total: Resources::default(),
            reserved: Resources::default(),
            containers: 0,
            ports: PortSet::default(),
            host_ports: PortSet::default(),
            images: Arc::default(),
        }
    }

    /// A label's value; empty when it is not there, which is also how expressions see it.
    pub fn label(&self, key: &str) -> &str {
        self.labels.get(key).map_or("", String::as_str)
    }
}
