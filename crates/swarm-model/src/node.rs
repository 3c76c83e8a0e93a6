//! A node of the swarm: `GET /nodes` (API v1.24 and up).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::Availability;
use crate::meta::{Rest, or_default};
use crate::service::{Platform, Resources};
use crate::{Id, Time, Version};

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It runs tasks.
    #[default]
    Worker,
    /// It also holds the store.
    Manager,
}

impl Role {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Manager => "manager",
        }
    }
}

/// What a person wants of a node: the body of `POST /nodes/{id}/update`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeSpec {
    /// A name for people, mostly empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Labels of the cluster's, that constraints can trust.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// What it is to be.
    pub role: Role,
    /// Whether it is given tasks.
    pub availability: Availability,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// `Description.Engine`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EngineDescription {
    /// The engine's version.
    pub engine_version: String,
    /// The engine's own labels.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its plugins.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<Plugin>,
}

/// A plugin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Plugin {
    /// `Volume`, `Network`, `Log`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// `Description`: what the node says of itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeDescription {
    /// The host's name.
    pub hostname: String,
    /// What runs on it.
    pub platform: Platform,
    /// What it has.
    pub resources: Resources,
    /// Its engine.
    pub engine: EngineDescription,
    /// What its owner allows beyond Docker's ([`crate::service::host::grants`]). Docker has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allows: Vec<String>,
    /// Unknown fields, `TLSInfo` among them.
    #[serde(flatten)]
    pub rest: Rest,
}

/// Whether a node is heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Nobody knows yet: a new leader waits for it.
    #[default]
    Unknown,
    /// It is silent.
    Down,
    /// It is heard of.
    Ready,
    /// It took leave, and may be back at once.
    Disconnected,
}

/// `Status`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeStatus {
    /// Whether it is heard of.
    pub state: NodeState,
    /// In words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Its address.
    pub addr: String,
}

/// Whether a manager is heard of by the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reachability {
    /// Nobody knows.
    #[default]
    Unknown,
    /// It is not.
    Unreachable,
    /// It is.
    Reachable,
}

/// `ManagerStatus`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManagerStatus {
    /// Whether it leads.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub leader: bool,
    /// Whether the others hear of it.
    pub reachability: Reachability,
    /// Where the others reach it.
    pub addr: String,
}

/// A node as the store keeps it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Node {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: Id,
    /// Guards its changes.
    pub version: Version,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// What is wanted.
    pub spec: NodeSpec,
    /// What it says of itself.
    pub description: NodeDescription,
    /// Whether it is heard of.
    pub status: NodeStatus,
    /// As a manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager_status: Option<ManagerStatus>,
    /// Its number among those that hold the store; 0 for others. Not shown by Docker.
    #[serde(skip_serializing_if = "crate::meta::is_default")]
    pub member: u64,
    /// When its newest certificate ends. Not shown by Docker.
    #[serde(skip_serializing_if = "Time::is_never")]
    pub certificate_ends: Time,
    /// Since when its status has its state. Not shown by Docker.
    #[serde(skip_serializing_if = "Time::is_never")]
    pub state_since: Time,
    /// By how many nanoseconds its clock is ahead of the leader's, as far as that is worth telling; less
    /// than 0 where it is behind. Not shown by Docker.
    #[serde(skip_serializing_if = "crate::meta::is_default")]
    pub clock_ahead: i64,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl NodeState {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Down => "down",
            Self::Ready => "ready",
            Self::Disconnected => "disconnected",
        }
    }
}

impl Node {
    /// What its certificate is to say: a manager that is to be a worker stays one until the others'
    /// store does without it; it could not take part in its own farewell otherwise.
    pub fn certified_role(&self) -> Role {
        if self.member == 0 { self.spec.role } else { Role::Manager }
    }

    /// What there is to say of its clock.
    pub fn clock_words(&self) -> Option<String> {
        let side = match self.clock_ahead {
            0 => return None,
            1.. => "ahead of",
            _ => "behind",
        };
        let off = crate::time::lasting(self.clock_ahead);
        Some(format!("its clock is {off} {side} the leader's"))
    }

    /// What people call it: its host's name, or its id where that is not known.
    pub fn name(&self) -> &str {
        let hostname = &self.description.hostname;
        if hostname.is_empty() { &self.id } else { hostname }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_clock_that_is_off_is_told_in_words() {
        let words = |ahead| Node { clock_ahead: ahead, ..Node::default() }.clock_words();
        assert_eq!(words(0), None);
        let second = 1_000_000_000;
        assert_eq!(words(3 * second).unwrap(), "its clock is 3 s ahead of the leader's");
        let days = words(-3 * 86_400 * second);
        assert_eq!(days.unwrap(), "its clock is 3 days behind the leader's");
    }

    #[test]
    fn an_answer_is_written_as_it_was_read() {
        let answer = json!({
            "ID": "24ifsmvkjbyhk", "Version": {"Index": 8},
            "CreatedAt": "2024-06-07T20:31:11.853781916Z",
            "UpdatedAt": "2024-06-07T20:31:11.999868824Z",
            "Spec": {"Labels": {"disk": "ssd"}, "Role": "manager", "Availability": "drain"},
            "Description": {
                "Hostname": "bf3067039e47",
                "Platform": {"Architecture": "x86_64", "OS": "linux"},
                "Resources": {"NanoCPUs": 4_000_000_000_i64, "MemoryBytes": 8_272_408_576_i64},
                "Engine": {"EngineVersion": "28.5.2", "Labels": {"foo": "bar"},
                           "Plugins": [{"Type": "Volume", "Name": "nfs"}]},
                "TLSInfo": {"TrustRoot": "x"}
            },
            "Status": {"State": "ready", "Addr": "172.17.0.2"},
            "ManagerStatus": {"Leader": true, "Reachability": "reachable", "Addr": "172.17.0.2:2377"}
        });
        let node: Node = serde_json::from_value(answer.clone()).unwrap();
        assert_eq!(serde_json::to_value(&node).unwrap(), answer);
    }
}
