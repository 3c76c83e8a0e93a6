//! An engine of a pool, as the store keeps it beside its registration: who it is, what it offers,
//! and whether it may be given containers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Kept;

/// Which engine: its id decides, its name is for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EngineRef {
    /// The engine's own id (`ID` of `GET /info`).
    pub id: String,
    /// Its host's name.
    pub name: String,
}

/// Whether an engine may be given containers; Docker's own words for a node's availability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    /// It may.
    #[default]
    Active,
    /// It keeps what it has and gets nothing new (cordoned).
    Pause,
    /// What it has is moved away, as far as it can be.
    Drain,
}

impl Availability {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pause => "pause",
            Self::Drain => "drain",
        }
    }
}

/// What is kept of one engine, under its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineRecord {
    /// See [`crate::FORMAT`].
    pub format: u32,
    /// Who.
    #[serde(flatten)]
    pub engine: EngineRef,
    /// Where it was last reached, as discovery names it.
    pub address: String,
    /// Its processors.
    pub cpus: i64,
    /// Its memory in bytes.
    pub memory: i64,
    /// Its labels, `storagedriver` and the like included.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whether it may be given containers.
    #[serde(default)]
    pub availability: Availability,
    /// A person took it out of the pool, and it has not been heard of since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// When the record was made, seconds since 1970; Docker's `CreatedAt`.
    #[serde(default)]
    pub created: i64,
    /// When it was last changed, seconds since 1970.
    #[serde(default)]
    pub updated: i64,
}

impl Kept for EngineRecord {
    const KIND: &'static str = "engine record";

    fn format(&self) -> u32 {
        self.format
    }

    fn name(&self) -> &str {
        &self.engine.name
    }
}
