//! The swarm as a whole: `GET /swarm` (API v1.24 and up), and what its managers keep beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::meta::{Rest, or_default};
use crate::{Id, Secret, Time, Version};

const SECOND: i64 = 1_000_000_000;

/// `Spec.Orchestration`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Orchestration {
    /// How many tasks a slot keeps, the one that runs included.
    pub task_history_retention_limit: i64,
}

impl Default for Orchestration {
    fn default() -> Self {
        Self { task_history_retention_limit: 5 }
    }
}

/// `Spec.Raft`. Ticks are a second each, as in Docker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RaftSettings {
    /// Log entries between snapshots.
    pub snapshot_interval: u64,
    /// Snapshots kept beside the present one; where a client says nothing of it, it stays.
    #[serde(default)]
    pub keep_old_snapshots: Option<u64>,
    /// Log entries kept for managers that are behind.
    pub log_entries_for_slow_followers: u64,
    /// Ticks without a leader until an election.
    pub election_tick: i64,
    /// Ticks between a leader's words.
    pub heartbeat_tick: i64,
}

impl Default for RaftSettings {
    fn default() -> Self {
        Self {
            snapshot_interval: 10_000,
            keep_old_snapshots: Some(0),
            log_entries_for_slow_followers: 500,
            election_tick: 10,
            heartbeat_tick: 1,
        }
    }
}

/// `Spec.Dispatcher`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DispatcherSettings {
    /// How often a node says that it is there, in nanoseconds. Docker's default is 5 s, ours 1 s.
    pub heartbeat_period: i64,
}

impl Default for DispatcherSettings {
    fn default() -> Self {
        Self { heartbeat_period: SECOND }
    }
}

/// `Spec.CAConfig`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CaConfig {
    /// How long a node's certificate holds, in nanoseconds.
    pub node_cert_expiry: i64,
    /// Authorities that sign in our place.
    #[serde(
        rename = "ExternalCAs",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub external_cas: Vec<Value>,
    /// Raised to have the root rotated.
    #[serde(skip_serializing_if = "crate::meta::is_default")]
    pub force_rotate: u64,
    /// Unknown fields, and those that are only ever written: `SigningCACert`, `SigningCAKey`.
    #[serde(flatten)]
    pub rest: Rest,
}

impl Default for CaConfig {
    fn default() -> Self {
        Self {
            node_cert_expiry: 90 * 24 * 3600 * SECOND,
            external_cas: Vec::new(),
            force_rotate: 0,
            rest: Rest::default(),
        }
    }
}

/// `Spec.EncryptionConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EncryptionConfig {
    /// Whether a manager that starts needs the unlock key.
    pub auto_lock_managers: bool,
}

/// `Spec`: what a person wants of the swarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ClusterSpec {
    /// `default`: there is no other.
    pub name: String,
    /// For people and tools.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// How tasks are kept.
    pub orchestration: Orchestration,
    /// How the store is kept.
    pub raft: RaftSettings,
    /// How nodes are heard.
    pub dispatcher: DispatcherSettings,
    /// How certificates are given.
    #[serde(rename = "CAConfig")]
    pub ca_config: CaConfig,
    /// What tasks get that ask for nothing else: `LogDriver`.
    pub task_defaults: Rest,
    /// Whether managers are locked.
    pub encryption_config: EncryptionConfig,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            labels: BTreeMap::new(),
            orchestration: Orchestration::default(),
            raft: RaftSettings::default(),
            dispatcher: DispatcherSettings::default(),
            ca_config: CaConfig::default(),
            task_defaults: Rest::default(),
            encryption_config: EncryptionConfig::default(),
            rest: Rest::default(),
        }
    }
}

/// By what nodes join.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct JoinTokens {
    /// As workers.
    pub worker: Secret,
    /// As managers.
    pub manager: Secret,
}

/// The swarm as the store keeps it. The API shows the part of it that is Docker's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Cluster {
    /// Its id; it is in every node's certificate.
    #[serde(rename = "ID")]
    pub id: Id,
    /// Guards its changes.
    #[serde(default)]
    pub version: Version,
    /// When it began.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// What is wanted.
    pub spec: ClusterSpec,
    /// By what nodes join.
    pub join_tokens: JoinTokens,
    /// The certificate authority with its key, in the form of `swarm-ca`'s `Authority`.
    pub authority: Value,
    /// What locks managers' disks, while they are to be locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlock_key: Option<Secret>,
    /// Networks from which subnets are taken, in CIDR form.
    pub default_addr_pool: Vec<String>,
    /// How long the prefix of each subnet is.
    pub subnet_size: u32,
    /// The UDP port of data between nodes.
    pub data_path_port: u32,
    /// Nodes that were removed, and until when their last certificates hold.
    #[serde(default)]
    pub removed: BTreeMap<Id, Time>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_sends_for_init_gets_the_defaults_of_what_it_leaves_out() {
        let sent = r#"{"Labels":null,"Orchestration":{},"Raft":{},"Dispatcher":{},
            "CAConfig":{"NodeCertExpiry":3600000000000},"TaskDefaults":{},
            "EncryptionConfig":{"AutoLockManagers":false}}"#;
        let spec: ClusterSpec = serde_json::from_str(sent).unwrap();
        assert_eq!(spec.orchestration.task_history_retention_limit, 5);
        assert_eq!(spec.ca_config.node_cert_expiry, 3600 * SECOND);
        let shown = serde_json::to_value(&spec).unwrap();
        assert_eq!(shown["Raft"]["ElectionTick"], 10);
        assert_eq!(shown["Dispatcher"]["HeartbeatPeriod"], SECOND);
    }
}
