//! `RestartPolicy` of a task: whether and when a task that ended is followed by another.

use serde::{Deserialize, Serialize};

use crate::meta::Rest;

/// Docker's own delay between a task's end and its successor's start, in nanoseconds (5 s).
pub const DEFAULT_DELAY: i64 = 5_000_000_000;

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Never.
    None,
    /// When it failed, or its node did.
    OnFailure,
    /// Always.
    #[default]
    #[serde(alias = "")]
    Any,
}

/// `RestartPolicy`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    /// When.
    pub condition: Option<Condition>,
    /// Nanoseconds to wait; [`DEFAULT_DELAY`] when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<i64>,
    /// How often within the window; 0 or absent for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u64>,
    /// Nanoseconds that attempts count; 0 or absent for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<i64>,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}
