//! The facts of an engine's `GET /info` (API v1.24 and up) that a pool shows, sums or places by.
//!
//! Every field may be missing (engines and platforms differ); what is not named here is skipped.

use serde::Deserialize;

use crate::json::{ParseError, read};
use crate::time::Moment;

/// What an engine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InfoFacts {
    /// The engine's own ID.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its host name.
    pub name: String,
    /// Processors.
    #[serde(rename = "NCPU")]
    pub cpus: i64,
    /// Bytes of memory.
    pub mem_total: i64,
    /// The engine's labels, each `key=value`.
    #[serde(deserialize_with = "nullable")]
    pub labels: Vec<String>,
    /// The storage driver.
    pub driver: String,
    /// The execution driver, of engines that still name one.
    pub execution_driver: String,
    /// The kernel's version.
    pub kernel_version: String,
    /// The distribution, in words.
    pub operating_system: String,
    /// `linux` or `windows`.
    #[serde(rename = "OSType")]
    pub os_type: String,
    /// `x86_64`, ...
    pub architecture: String,
    /// The engine's version.
    pub server_version: String,
    /// The engine's clock when it answered, RFC 3339.
    pub system_time: String,
    /// Containers, in every state.
    pub containers: i64,
    /// Containers running.
    pub containers_running: i64,
    /// Containers paused.
    pub containers_paused: i64,
    /// Containers stopped.
    pub containers_stopped: i64,
    /// Images.
    pub images: i64,
    /// `cgroupfs` or `systemd`.
    pub cgroup_driver: String,
    /// The default runtime.
    pub default_runtime: String,
    /// The default logging driver.
    pub logging_driver: String,
    /// Whether experimental features are on.
    pub experimental_build: bool,
    /// What the engine warns of.
    #[serde(deserialize_with = "nullable")]
    pub warnings: Vec<String>,
    /// The engine's part in a swarm of its own.
    #[serde(deserialize_with = "nullable")]
    pub swarm: SwarmFacts,
}

/// `Swarm` in an engine's info.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SwarmFacts {
    /// The engine's node ID in its swarm.
    #[serde(rename = "NodeID")]
    pub node_id: String,
    /// `inactive`, `pending`, `active`, `error` or `locked`.
    #[serde(rename = "LocalNodeState")]
    pub local_node_state: String,
    /// Whether the engine is a manager of its swarm.
    #[serde(rename = "ControlAvailable")]
    pub control_available: bool,
}

fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl InfoFacts {
    /// Reads an engine's answer.
    pub fn parse(body: &[u8]) -> Result<Self, ParseError> {
        read("an engine's info", body)
    }

    /// The labels as pairs; one without `=` has an empty value.
    pub fn label_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|label| label.split_once('=').unwrap_or((label, "")))
    }

    /// The engine's clock when it answered.
    pub fn clock(&self) -> Option<Moment> {
        Moment::parse(&self.system_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_null_fields_are_empty() {
        let info =
            InfoFacts::parse(br#"{"ID":"a","Labels":null,"Swarm":null,"Future":1}"#).unwrap();
        assert_eq!(info, InfoFacts { id: "a".into(), ..InfoFacts::default() });
        let info = InfoFacts { labels: vec!["a=b=c".into(), "d".into()], ..info };
        assert_eq!(info.label_pairs().collect::<Vec<_>>(), [("a", "b=c"), ("d", "")]);
        assert!(InfoFacts::parse(b"<html>").unwrap_err().to_string().contains("an engine's info"));
    }
}
