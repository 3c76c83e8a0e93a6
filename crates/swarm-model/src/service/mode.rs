//! `Mode` of a service: how many tasks it wants, and whether they end.

use serde::{Deserialize, Serialize};

use crate::meta::Rest;

/// `Mode` as it is on the wire: one of four; more than one is refused by `validate`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceMode {
    /// So many tasks, wherever they fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicated: Option<Replicated>,
    /// One task on each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global: Option<Rest>,
    /// So many tasks that end well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicated_job: Option<ReplicatedJob>,
    /// One task on each node that ends well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global_job: Option<Rest>,
}

/// `Mode.Replicated`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Replicated {
    /// How many; 1 when not said.
    pub replicas: Option<u64>,
}

/// `Mode.ReplicatedJob`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ReplicatedJob {
    /// How many at once; 1 when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u64>,
    /// How many must end well; as many as at once when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_completions: Option<u64>,
}

/// The mode, decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// So many tasks.
    Replicated {
        /// How many.
        replicas: u64,
    },
    /// One on each node.
    Global,
    /// So many that end well.
    ReplicatedJob {
        /// At once.
        concurrent: u64,
        /// In all.
        total: u64,
    },
    /// One on each node that ends well.
    GlobalJob,
}

impl ServiceMode {
    /// A replicated service's.
    pub fn replicated(replicas: u64) -> Self {
        let replicated = Some(Replicated { replicas: Some(replicas) });
        Self { replicated, ..Self::default() }
    }

    /// How many modes are named.
    pub fn named(&self) -> usize {
        usize::from(self.replicated.is_some())
            + usize::from(self.global.is_some())
            + usize::from(self.replicated_job.is_some())
            + usize::from(self.global_job.is_some())
    }

    /// The mode; a replicated one of 1 when none is named, as Docker has it.
    pub fn decided(&self) -> Mode {
        if self.global.is_some() {
            return Mode::Global;
        }
        if self.global_job.is_some() {
            return Mode::GlobalJob;
        }
        if let Some(job) = &self.replicated_job {
            let concurrent = job.max_concurrent.unwrap_or(1);
            return Mode::ReplicatedJob {
                concurrent,
                total: job.total_completions.unwrap_or(concurrent),
            };
        }
        let replicas = self.replicated.as_ref().and_then(|mode| mode.replicas).unwrap_or(1);
        Mode::Replicated { replicas }
    }
}

impl Mode {
    /// Whether its tasks are to end.
    pub fn is_job(self) -> bool {
        matches!(self, Self::ReplicatedJob { .. } | Self::GlobalJob)
    }

    /// Whether it has one task on each node.
    pub fn is_global(self) -> bool {
        matches!(self, Self::Global | Self::GlobalJob)
    }
}
