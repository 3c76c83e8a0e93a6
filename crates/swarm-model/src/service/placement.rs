//! `Placement` of a task: where it may and where it should run.

use serde::{Deserialize, Serialize};

use crate::meta::{Rest, is_default, or_default};

/// `Placement`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Placement {
    /// `node.labels.disk==ssd`; all must hold.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<String>,
    /// What to spread over, the first one first.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub preferences: Vec<Preference>,
    /// Tasks of the service on one node; 0 for no limit.
    #[serde(skip_serializing_if = "is_default")]
    pub max_replicas: u64,
    /// Platforms that the image is for; none for any.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<Platform>,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// One preference.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Preference {
    /// Evenly over the values of a label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// `Spread`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Spread {
    /// `node.labels.zone`, `engine.labels.zone`.
    pub spread_descriptor: String,
}

/// A platform; empty is any.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Platform {
    /// `amd64`, or as the kernel says, `x86_64`.
    pub architecture: String,
    /// `linux`.
    #[serde(rename = "OS")]
    pub os: String,
}
