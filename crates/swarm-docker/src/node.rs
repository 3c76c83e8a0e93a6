//! The engine a container lives on, as the pool shows it: classic Swarm's `Node` object in a
//! container's inspect answer, and its attributes in an event.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `Node` in `GET /containers/{id}/json`, as classic Swarm wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeJson {
    /// The engine's own ID.
    #[serde(rename = "ID")]
    pub id: String,
    /// The address published ports are reached at.
    #[serde(rename = "IP")]
    pub ip: String,
    /// Where the engine's API is, `HOST:PORT`.
    #[serde(rename = "Addr")]
    pub addr: String,
    /// The engine's host name, unique in the pool.
    #[serde(rename = "Name")]
    pub name: String,
    /// Processors.
    #[serde(rename = "Cpus")]
    pub cpus: i64,
    /// Bytes of memory.
    #[serde(rename = "Memory")]
    pub memory: i64,
    /// The engine's labels and the facts classic Swarm adds to them (`storagedriver`, ...).
    #[serde(rename = "Labels")]
    pub labels: BTreeMap<String, String>,
}

impl NodeJson {
    /// As JSON.
    pub fn to_json(&self) -> Vec<u8> {
        crate::json::bytes(self)
    }
}
