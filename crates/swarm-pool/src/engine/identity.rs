//! Who an engine is: the facts of its `GET /info` that placement and `docker info` need.
//!
//! Source of the standard labels: classic Swarm's constraint filter (`storagedriver`,
//! `executiondriver`, `kernelversion`, `operatingsystem`), with `ostype` and `architecture` added.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use swarm_docker::event::{Event, EventNode};
use swarm_docker::info::InfoFacts;
use swarm_docker::node::NodeJson;
use swarm_engine::EngineAddress;

/// An engine whose owner sets this label to a true value is given no new containers.
pub const MAINTENANCE_LABEL: &str = "com.docker.swarm.maintenance";

/// An engine's identity.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The engine's own id; unique in a pool.
    pub id: String,
    /// The host's name.
    pub name: String,
    /// `host:port` as discovery named it.
    pub address: String,
    /// The address in numbers where it is one; what `0.0.0.0` becomes in a container's ports.
    pub ip: String,
    /// CPUs.
    pub cpus: i64,
    /// Bytes of memory.
    pub memory: i64,
    /// Standard and custom labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// The engine's release, such as `20.10.24`.
    pub server_version: String,
    /// Its clock against the manager's in milliseconds; positive when it is ahead.
    pub skew_millis: Option<i64>,
    /// Its owner wants no new containers on it.
    pub maintenance: bool,
    /// Operating system, kernel and the like, for `docker info`.
    pub info: InfoFacts,
    /// The engine as its containers show it.
    pub node: NodeJson,
    /// The engine as its events show it.
    pub event_node: EventNode,
}

impl Identity {
    /// Reads an answer to `GET /info`; `now_millis` is the manager's clock when it came.
    pub fn new(info: InfoFacts, address: &EngineAddress, now_millis: i64) -> Self {
        let mut labels: BTreeMap<String, String> = BTreeMap::new();
        for (key, value) in info.label_pairs() {
            labels.insert(key.to_owned(), value.to_owned());
        }
        let maintenance = labels
            .get(MAINTENANCE_LABEL)
            .is_some_and(|value| matches!(value.as_str(), "1" | "true" | "yes"));
        let standard = [
            ("storagedriver", &info.driver),
            ("executiondriver", &info.execution_driver),
            ("kernelversion", &info.kernel_version),
            ("operatingsystem", &info.operating_system),
            ("ostype", &info.os_type),
            ("architecture", &info.architecture),
        ];
        for (key, value) in standard {
            // An owner's own label of that name is his word about his host, and wins.
            if !value.is_empty() {
                labels.entry(key.to_owned()).or_insert_with(|| value.clone());
            }
        }
        let ip = address.ip().map_or_else(|| "127.0.0.1".to_owned(), |ip| ip.to_string());
        let node = NodeJson {
            id: info.id.clone(),
            ip: ip.clone(),
            addr: address.to_string(),
            name: info.name.clone(),
            cpus: info.cpus,
            memory: info.mem_total,
            labels: labels.clone(),
        };
        Self {
            id: info.id.clone(),
            name: info.name.clone(),
            address: address.to_string(),
            ip,
            cpus: info.cpus,
            memory: info.mem_total,
            labels: Arc::new(labels),
            server_version: info.server_version.clone(),
            skew_millis: info.clock().map(|theirs| theirs.as_nanos() / 1_000_000 - now_millis),
            maintenance,
            info,
            event_node: EventNode::new(&node),
            node,
        }
    }

    /// An event of this engine as the pool passes it on.
    pub fn event_line(&self, event: &Event) -> Bytes {
        event.with_node(&self.event_node).into()
    }
}
