//! The rules, one file each.

pub mod converged;
pub mod doubles;
pub mod overbooked;
pub mod parallelism;
pub mod ports;
pub mod rises;
pub mod silence;

use std::collections::BTreeSet;
use std::fmt;

use swarm_model::Id;

use super::cluster::Cluster;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which.
    pub rule: &'static str,
    /// How.
    pub words: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.words)
    }
}

/// What the checkers remember.
#[derive(Debug, Default)]
pub struct Checks {
    /// How many containers were started.
    pub started: u64,
    /// How many tasks were to be moved.
    pub moved: u64,
    /// Tasks that were made while their service's update order was start-first.
    pub start_first: BTreeSet<Id>,
}

/// At the start of a container.
pub(super) fn started(cluster: &mut Cluster, at: usize, id: &Id) -> Result<(), Breach> {
    cluster.checks.started += 1;
    ports::look(cluster, at, id)?;
    doubles::look(cluster, at, id)
}

/// After each step of time.
pub(super) fn always(cluster: &Cluster) -> Result<(), Breach> {
    overbooked::look(cluster)
}
