//! What is read of a container: what may change from `GET /containers/json?all=1`, what lasts as long as
//! it does from `GET /containers/{id}/json` (API v1.24 and up).
//!
//! Reading is lenient: what is missing, `null` or of another form counts as not there.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use swarm_docker::container::LABEL_TASK_ID;

/// A container, as templates see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Container {
    /// The full id.
    pub id: String,
    /// Without slash and node.
    pub name: String,
    /// The node it is on; empty where the endpoint tells of none.
    pub node: String,
    /// The image as it was named at creation.
    pub image: String,
    /// Docker's word: `running`, `paused`, `restarting`.
    pub state: String,
    /// `healthy`, `unhealthy`, `starting`; empty without a health check.
    pub health: String,
    /// It runs, is not paused, and its health check, if any, has passed.
    pub ready: bool,
    /// Its node does not answer the endpoint: what is told is what was known last.
    pub lost: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Its ports, exposed and published, in order.
    pub ports: Vec<Port>,
    /// Its own addresses, by network.
    pub networks: BTreeMap<String, String>,
    /// It has its host's network.
    pub on_host: bool,
    /// The task that it is, in swarm mode.
    pub task: String,
    /// The name of that task's service.
    pub service: String,
}

/// A port of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Port {
    /// Inside.
    pub private: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// On the host, where it is published.
    pub public: Option<u16>,
    /// The host's address that it is published on; `None` for all of them.
    pub ip: Option<String>,
}

/// What an inspection tells and nothing changes during a container's life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lasting {
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// Ports that are exposed; a list does not name those of a container on its host's network.
    pub exposed: Vec<(u16, String)>,
    /// The address of its engine's host, which only a pool tells.
    pub node_ip: Option<String>,
}

impl Lasting {
    /// Reads an inspection.
    pub fn read(json: &Value) -> Self {
        let env = json.pointer("/Config/Env").and_then(Value::as_array);
        let env = env.into_iter().flatten().filter_map(Value::as_str);
        let exposed = json.pointer("/Config/ExposedPorts").and_then(Value::as_object);
        Self {
            env: pairs(env),
            exposed: exposed
                .into_iter()
                .flat_map(|all| all.keys())
                .filter_map(|key| port_key(key))
                .collect(),
            node_ip: json.pointer("/Node/IP").and_then(filled),
        }
    }
}

/// `KEY=VALUE` words as a map; without `=` they say nothing.
pub(crate) fn pairs<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let pair = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    words.filter_map(|word| word.split_once('=')).map(pair).collect()
}

/// A text that is not empty.
pub(crate) fn filled(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// An object of texts.
pub(crate) fn labels(value: Option<&Value>) -> BTreeMap<String, String> {
    let all = value.and_then(Value::as_object).into_iter().flatten();
    all.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn port_key(key: &str) -> Option<(u16, String)> {
    let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
    Some((port.parse().ok().filter(|port| *port != 0)?, protocol.to_owned()))
}

fn port_number(json: &Value, key: &str) -> Option<u16> {
    let number = json.get(key)?.as_u64()?;
    u16::try_from(number).ok().filter(|port| *port != 0)
}

impl Container {
    /// Reads an entry of a list and what is known from its inspection. `None` when it does not run.
    pub fn read(entry: &Value, lasting: Option<&Lasting>) -> Option<Self> {
        let text = |key: &str| entry.get(key).and_then(filled).unwrap_or_default();
        let (id, state, status) = (text("Id"), text("State"), text("Status"));
        let lost = status.contains("Host Down");
        let runs = matches!(state.as_str(), "running" | "paused" | "restarting");
        if id.is_empty() || !runs {
            return None;
        }
        let labels = labels(entry.get("Labels"));
        let names = entry.get("Names").and_then(Value::as_array);
        let name = names.into_iter().flatten().filter_map(Value::as_str);
        // Other names are those by which other containers link to it.
        let name = name.min_by_key(|name| name.matches('/').count()).unwrap_or_default();
        let name = name.trim_start_matches('/');
        let (node, name) = name.split_once('/').unwrap_or(("", name));
        let health = health(&status);
        let on_host =
            entry.pointer("/HostConfig/NetworkMode").and_then(Value::as_str) == Some("host");
        let of = |key: &str| labels.get(key).cloned().unwrap_or_default();
        Some(Self {
            ready: state == "running" && matches!(health, "" | "healthy"),
            health: health.to_owned(),
            node: node.to_owned(),
            name: name.to_owned(),
            image: text("Image"),
            env: lasting.map(|lasting| lasting.env.clone()).unwrap_or_default(),
            ports: ports(entry, lasting, on_host),
            networks: networks(entry),
            task: of(LABEL_TASK_ID),
            service: of("com.docker.swarm.service.name"),
            labels,
            on_host,
            lost,
            state,
            id,
        })
    }

    /// The published or exposed port with this number inside, a published one first.
    pub fn port(&self, private: u16) -> Option<&Port> {
        let mut these = self.ports.iter().filter(|p| p.private == private && p.protocol == "tcp");
        let first = these.clone().next();
        these.find(|port| port.public.is_some()).or(first)
    }
}

/// What the words of `docker ps` say of health.
fn health(status: &str) -> &'static str {
    match status {
        s if s.ends_with("(healthy)") => "healthy",
        s if s.ends_with("(unhealthy)") => "unhealthy",
        s if s.ends_with("(health: starting)") => "starting",
        _ => "",
    }
}

fn ports(entry: &Value, lasting: Option<&Lasting>, on_host: bool) -> Vec<Port> {
    let given = entry.get("Ports").and_then(Value::as_array);
    let mut found: Vec<Port> = given
        .into_iter()
        .flatten()
        .filter_map(|port| {
            let ip = port.get("IP").and_then(filled);
            Some(Port {
                private: port_number(port, "PrivatePort")?,
                public: port_number(port, "PublicPort"),
                protocol: port.get("Type").and_then(filled).unwrap_or_else(|| "tcp".to_owned()),
                ip: ip.filter(|ip| !matches!(ip.as_str(), "0.0.0.0" | "::")),
            })
        })
        .collect();
    for (private, protocol) in lasting.into_iter().flat_map(|lasting| &lasting.exposed) {
        if !found.iter().any(|port| port.private == *private && port.protocol == *protocol) {
            // On the host's network an exposed port is open on the host as it is.
            let public = on_host.then_some(*private);
            found.push(Port { private: *private, protocol: protocol.clone(), public, ip: None });
        }
    }
    found.sort();
    // One port on IPv4 and IPv6 is told twice.
    found.dedup();
    found
}

fn networks(entry: &Value) -> BTreeMap<String, String> {
    let given = entry.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
    let address = |network: &Value| network.get("IPAddress").and_then(filled);
    let given = given.into_iter().flatten();
    given.filter_map(|(name, network)| Some((name.clone(), address(network)?))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pools_and_an_engines_entry_are_read() {
        let lasting = Lasting::read(&json!({
            "Config": {"Env": ["VIRTUAL_HOST=a=b", "ODD"], "ExposedPorts": {"9000/tcp": {}}},
            "Node": {"IP": "10.0.0.7"},
        }));
        assert_eq!(lasting.node_ip.as_deref(), Some("10.0.0.7"));
        let entry = json!({
            "Id": "abc", "Names": ["/host-1/front/db", "/host-1/web"], "Image": "nginx",
            "State": "running", "Status": "Up 2 hours (unhealthy)", "Labels": {"a": "b", "n": 1},
            "Ports": [
                {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
                {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
                {"IP": "10.0.0.7", "PrivatePort": 81, "PublicPort": 8081, "Type": "tcp"},
                {"PrivatePort": 0, "Type": "tcp"}, null,
            ],
            "NetworkSettings": {"Networks": {"x": {"IPAddress": "172.18.0.2"}, "y": {"IPAddress": ""}}},
        });
        let read = Container::read(&entry, Some(&lasting)).unwrap();
        assert_eq!((read.node.as_str(), read.name.as_str()), ("host-1", "web"));
        assert_eq!((read.health.as_str(), read.ready), ("unhealthy", false));
        assert_eq!(read.env["VIRTUAL_HOST"], "a=b");
        assert_eq!(read.labels.len(), 1);
        let ports: Vec<_> =
            read.ports.iter().map(|p| (p.private, p.public, p.ip.as_deref())).collect();
        let expected =
            [(80, Some(8080), None), (81, Some(8081), Some("10.0.0.7")), (9000, None, None)];
        assert_eq!(ports, expected);
        assert_eq!(read.networks.len(), 1);
        let plain =
            json!({"Id": "a", "Names": ["/web"], "State": "running", "Status": "Up 1 second"});
        let read = Container::read(&plain, None).unwrap();
        assert_eq!((read.node.as_str(), read.name.as_str(), read.ready), ("", "web", true));
    }

    #[test]
    fn on_the_hosts_network_exposed_ports_are_open() {
        let lasting = Lasting::read(&json!({"Config": {"ExposedPorts": {"80": {}, "0/tcp": {}}}}));
        let entry = json!({"Id": "a", "State": "running", "HostConfig": {"NetworkMode": "host"}});
        let read = Container::read(&entry, Some(&lasting)).unwrap();
        assert_eq!(read.port(80).and_then(|port| port.public), Some(80));
        assert_eq!(read.ports.len(), 1);
    }

    #[test]
    fn what_does_not_run_is_none() {
        for entry in [json!({}), json!(null), json!({"Id": "a", "State": "exited"})] {
            assert_eq!(Container::read(&entry, None), None, "{entry}");
        }
    }
}
