//! What is read of nodes, services and tasks, where the endpoint has them: `GET /nodes`, `/services`,
//! `/tasks` (API v1.24 and up). A pool has nodes alone.
//!
//! Reading is lenient, as with containers.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::container::{filled, labels, pairs};

/// A node, as templates see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// Its host's name.
    pub name: String,
    /// Where its published ports are reached, without a port.
    pub address: String,
    /// `manager` or `worker`; empty for an engine.
    pub role: String,
    /// `active`, `pause` or `drain`.
    pub availability: String,
    /// `ready`, `down`, `disconnected` or `unknown`.
    pub state: String,
    /// The state is `ready`.
    pub ready: bool,
    /// Labels of the node and, where it has none of the name, of its engine.
    pub labels: BTreeMap<String, String>,
}

/// A service, as templates see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image of its tasks.
    pub image: String,
    /// Its own labels; those of its containers are the containers'.
    pub labels: BTreeMap<String, String>,
    /// The environment of its tasks.
    pub env: BTreeMap<String, String>,
    /// Its published ports.
    pub ports: Vec<ServicePort>,
}

/// A published port of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ServicePort {
    /// Inside.
    pub target: u16,
    /// On the nodes, where it is known.
    pub published: Option<u16>,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// `ingress`: on every node. `host`: on the nodes that tasks are on.
    pub mode: String,
}

/// A task that is to run, as templates see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// Its service's id.
    pub service_id: String,
    /// Its service's name.
    pub service: String,
    /// Its place among its service's replicas; 0 where services have none.
    pub slot: u64,
    /// Its node's id.
    pub node_id: String,
    /// Its node's name.
    pub node: String,
    /// Its container's id.
    pub container: String,
    /// Docker's word.
    pub state: String,
    /// It runs, and is to run.
    pub ready: bool,
    /// Its own addresses, by network.
    pub networks: BTreeMap<String, String>,
    /// Ports that it has on its node (mode `host`).
    pub ports: Vec<ServicePort>,
}

fn text(json: &Value, pointer: &str) -> String {
    json.pointer(pointer).and_then(filled).unwrap_or_default()
}

/// `HOST:PORT` or `HOST` without the port.
fn without_port(address: &str) -> String {
    let bare = address.split_once("://").map_or(address, |(_, rest)| rest);
    if let Some((host, _)) = bare.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return host.to_owned();
    }
    match bare.split_once(':') {
        Some((host, port)) if !port.contains(':') => host.to_owned(),
        _ => bare.to_owned(),
    }
}

impl Node {
    /// Reads one of `GET /nodes`; `None` without an id.
    pub fn read(json: &Value) -> Option<Self> {
        let mut all = labels(json.pointer("/Description/Engine/Labels"));
        all.append(&mut labels(json.pointer("/Spec/Labels")));
        let state = text(json, "/Status/State");
        let address = without_port(&text(json, "/Status/Addr"));
        // A manager's own address may be told as 0.0.0.0 or the loopback's.
        let useless = matches!(address.as_str(), "" | "0.0.0.0" | "::" | "127.0.0.1");
        let of_manager = without_port(&text(json, "/ManagerStatus/Addr"));
        Some(Self {
            id: json.get("ID").and_then(filled)?,
            name: text(json, "/Description/Hostname"),
            address: if useless && !of_manager.is_empty() { of_manager } else { address },
            role: text(json, "/Spec/Role"),
            availability: text(json, "/Spec/Availability"),
            ready: state == "ready",
            state,
            labels: all,
        })
    }
}

fn service_ports(json: Option<&Value>) -> Vec<ServicePort> {
    let number = |port: &Value, key: &str| {
        let number = port.get(key).and_then(Value::as_u64);
        number.and_then(|n| u16::try_from(n).ok()).filter(|n| *n != 0)
    };
    let all = json.and_then(Value::as_array).into_iter().flatten();
    let read = |port: &Value| {
        let word = |key: &str, usual: &str| {
            port.get(key).and_then(filled).unwrap_or_else(|| usual.to_owned())
        };
        Some(ServicePort {
            target: number(port, "TargetPort")?,
            published: number(port, "PublishedPort"),
            protocol: word("Protocol", "tcp"),
            mode: word("PublishMode", "ingress"),
        })
    };
    all.filter_map(read).collect()
}

impl Service {
    /// Reads one of `GET /services`; `None` without an id.
    pub fn read(json: &Value) -> Option<Self> {
        let env = json.pointer("/Spec/TaskTemplate/ContainerSpec/Env").and_then(Value::as_array);
        let image = text(json, "/Spec/TaskTemplate/ContainerSpec/Image");
        Some(Self {
            id: json.get("ID").and_then(filled)?,
            name: text(json, "/Spec/Name"),
            // The digest that the client has pinned is nobody's name for it.
            image: image.split('@').next().unwrap_or_default().to_owned(),
            labels: labels(json.pointer("/Spec/Labels")),
            env: pairs(env.into_iter().flatten().filter_map(Value::as_str)),
            ports: service_ports(json.pointer("/Endpoint/Ports")),
        })
    }
}

impl Task {
    /// Reads one of `GET /tasks`; `None` without an id, or where it is not to run. Names of its service
    /// and its node are filled in by whoever knows them.
    pub fn read(json: &Value) -> Option<Self> {
        if text(json, "/DesiredState") != "running" {
            return None;
        }
        let state = text(json, "/Status/State");
        Some(Self {
            id: json.get("ID").and_then(filled)?,
            service_id: text(json, "/ServiceID"),
            service: String::new(),
            slot: json.get("Slot").and_then(Value::as_u64).unwrap_or(0),
            node_id: text(json, "/NodeID"),
            node: String::new(),
            container: text(json, "/Status/ContainerStatus/ContainerID"),
            ready: state == "running",
            state,
            networks: attachments(json),
            ports: service_ports(json.pointer("/Status/PortStatus/Ports")),
        })
    }
}

fn attachments(json: &Value) -> BTreeMap<String, String> {
    let all = json.get("NetworksAttachments").and_then(Value::as_array);
    let read = |one: &Value| {
        let name = one.pointer("/Network/Spec/Name").and_then(filled)?;
        let address = one.get("Addresses")?.as_array()?.iter().find_map(filled)?;
        Some((name, address.split('/').next().unwrap_or_default().to_owned()))
    };
    all.into_iter().flatten().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_of_a_swarm_are_read() {
        let node = Node::read(&json!({
            "ID": "n1", "Spec": {"Role": "manager", "Labels": {"a": "node"}},
            "Description": {"Hostname": "h", "Engine": {"Labels": {"a": "engine", "b": "c"}}},
            "Status": {"State": "ready", "Addr": "0.0.0.0"}, "ManagerStatus": {"Addr": "10.0.0.1:2377"},
        }))
        .unwrap();
        assert_eq!((node.address.as_str(), node.ready), ("10.0.0.1", true));
        assert_eq!((node.labels["a"].as_str(), node.labels["b"].as_str()), ("node", "c"));
        let service = Service::read(&json!({
            "ID": "s1",
            "Spec": {"Name": "web", "TaskTemplate": {"ContainerSpec": {
                "Image": "nginx:1@sha256:00", "Env": ["A=b"]}}},
            "Endpoint": {"Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 30000}, {}]},
        }))
        .unwrap();
        assert_eq!((service.image.as_str(), service.env["A"].as_str()), ("nginx:1", "b"));
        assert_eq!(service.ports.len(), 1);
        assert_eq!(service.ports[0].mode, "ingress");
        let task = |desired: &str| {
            Task::read(&json!({
                "ID": "t1", "ServiceID": "s1", "Slot": 2, "NodeID": "n1", "DesiredState": desired,
                "Status": {"State": "running", "ContainerStatus": {"ContainerID": "c"}},
                "NetworksAttachments": [
                    {"Network": {"Spec": {"Name": "front"}}, "Addresses": ["10.1.0.5/24"]}, {}],
            }))
        };
        let running = task("running").unwrap();
        assert_eq!((running.networks["front"].as_str(), running.ready), ("10.1.0.5", true));
        assert_eq!(task("shutdown"), None);
        assert_eq!(Node::read(&json!({})), None);
    }

    #[test]
    fn addresses_lose_their_port() {
        for (given, expected) in [
            ("10.0.0.1:2375", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.1"),
            ("[fd00::1]:2375", "fd00::1"),
            ("fd00::1", "fd00::1"),
            ("tcp://host:1", "host"),
            ("", ""),
        ] {
            assert_eq!(without_port(given), expected, "{given}");
        }
    }
}
