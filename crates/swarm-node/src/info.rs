//! `Swarm` of `GET /info` (API v1.24 and up): this node's part in a swarm, as Docker tells it.

use serde::Serialize;
use serde_json::Value;

/// `Swarm`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SwarmInfo {
    /// This node's id; empty in no swarm.
    #[serde(rename = "NodeID")]
    pub node_id: String,
    /// Where others reach it.
    pub node_addr: String,
    /// Docker's word.
    pub local_node_state: &'static str,
    /// Whether it is a manager that answers.
    pub control_available: bool,
    /// Why it is not what it should be.
    pub error: String,
    /// Managers that it knows.
    pub remote_managers: Option<Vec<Remote>>,
    /// On managers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<usize>,
    /// On managers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managers: Option<usize>,
    /// On managers: the swarm, without its tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Value>,
}

/// A manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Remote {
    /// Its id, where it is known.
    #[serde(rename = "NodeID")]
    pub node_id: String,
    /// `HOST:PORT`.
    pub addr: String,
}
