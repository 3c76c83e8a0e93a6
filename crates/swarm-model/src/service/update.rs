//! `UpdateConfig`, `RollbackConfig` and `UpdateStatus` of a service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::meta::{Rest, is_default};

/// Docker's own time to watch an updated task for, in nanoseconds (5 s).
pub const DEFAULT_MONITOR: i64 = 5_000_000_000;

/// What to do when an update fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureAction {
    /// Stop and wait for a person.
    #[default]
    #[serde(alias = "")]
    Pause,
    /// Go on.
    Continue,
    /// Go back to the spec before.
    Rollback,
}

/// Which of the old and the new task is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The old one ends before the new one starts.
    #[default]
    #[serde(alias = "")]
    StopFirst,
    /// The new one runs before the old one ends.
    StartFirst,
}

/// `UpdateConfig` and `RollbackConfig`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateConfig {
    /// Slots at once; 0 for all.
    pub parallelism: u64,
    /// Nanoseconds between a slot's success and the next slot.
    #[serde(skip_serializing_if = "is_default")]
    pub delay: i64,
    /// What to do when it fails.
    pub failure_action: FailureAction,
    /// Nanoseconds after a task's start during which its failure counts.
    #[serde(skip_serializing_if = "is_default")]
    pub monitor: i64,
    /// The share of slots that may fail.
    pub max_failure_ratio: f64,
    /// Which task is first.
    pub order: Order,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl Default for UpdateConfig {
    fn default() -> Self {
        Self {
            parallelism: 1,
            delay: 0,
            failure_action: FailureAction::Pause,
            monitor: 0,
            max_failure_ratio: 0.0,
            order: Order::StopFirst,
            rest: Rest::new(),
        }
    }
}

/// The label of a service that says which task is first when its node is drained: `stop-first`, as in
/// Docker and where nothing is said, or `start-first`.
pub const DRAIN: &str = "swarm.drain";

/// Which task is first when a node is drained, by a service's labels; the error is in words.
pub fn drain_order(labels: &BTreeMap<String, String>) -> Result<Order, String> {
    match labels.get(DRAIN).map(String::as_str) {
        None | Some("stop-first") => Ok(Order::StopFirst),
        Some("start-first") => Ok(Order::StartFirst),
        Some(other) => {
            Err(format!("label {DRAIN}: {other:?} is neither stop-first nor start-first"))
        }
    }
}

impl UpdateConfig {
    /// The time to watch a task for; Docker takes 0 for its default.
    pub fn watch(&self) -> i64 {
        if self.monitor == 0 { DEFAULT_MONITOR } else { self.monitor }
    }
}

/// `UpdateStatus.State`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateState {
    /// Going on.
    Updating,
    /// It failed and waits.
    Paused,
    /// Done.
    Completed,
    /// Going back.
    RollbackStarted,
    /// Going back failed and waits.
    RollbackPaused,
    /// Gone back.
    RollbackCompleted,
}

/// `UpdateStatus`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateStatus {
    /// Where it is.
    pub state: UpdateState,
    /// Since when this attempt goes on.
    #[serde(default, skip_serializing_if = "Time::is_never")]
    pub started_at: Time,
    /// Since when it is done.
    #[serde(default, skip_serializing_if = "Time::is_never")]
    pub completed_at: Time,
    /// In words.
    #[serde(default)]
    pub message: String,
}
