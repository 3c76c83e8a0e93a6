//! Published ports: as a list shows them, as a create or inspect names them, and with the address a
//! cluster's client can reach.
//!
//! Invariant: an address of "every interface" of one node says nothing to a client of many; it
//! becomes the node's own. An engine that publishes on IPv4 and IPv6 alike lists a port twice; what
//! is listed once the addresses are the same is kept once, in the family of the node's address.

use std::net::IpAddr;

use serde_json::{Map, Value};

/// The transport of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Protocol {
    /// TCP, Docker's default.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Reads Docker's word; `None` for a protocol Docker does not publish.
    pub fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "" | "tcp" => Some(Self::Tcp),
            "udp" => Some(Self::Udp),
            "sctp" => Some(Self::Sctp),
            _ => None,
        }
    }

    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// One element of a list entry's `Ports`, as the engine sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// The port in the container.
    pub private: u16,
    /// The port on the node, where published.
    pub public: Option<u16>,
    /// The transport.
    pub protocol: Protocol,
    /// The node's address it is bound to; `None` where not published.
    pub ip: Option<IpAddr>,
}

/// One wanted or given binding of a container's port to its node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortBinding {
    /// The port in the container.
    pub container_port: u16,
    /// The transport.
    pub protocol: Protocol,
    /// The node's address; empty for every one.
    pub host_ip: Box<str>,
    /// The node's port; empty or `0` lets the engine pick, `8000-8010` lets it pick one of these.
    pub host_port: Box<str>,
}

impl PortBinding {
    /// The one node port asked for; `None` when the engine picks.
    pub fn fixed_port(&self) -> Option<u16> {
        self.host_port.trim().parse().ok().filter(|port| *port != 0)
    }

    /// Whether it binds every address of the node.
    pub fn on_every_address(&self) -> bool {
        self.host_ip.is_empty() || is_wildcard(&self.host_ip)
    }
}

/// Whether the text is `0.0.0.0`, `::` or another spelling of "every address".
pub fn is_wildcard(ip: &str) -> bool {
    ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// Reads `80/tcp`; without a protocol it is TCP.
pub fn parse_port_key(key: &str) -> Option<(u16, Protocol)> {
    let (port, protocol) = key.split_once('/').unwrap_or((key, ""));
    Some((port.parse().ok()?, Protocol::parse(protocol)?))
}

/// Rewrites the `IP` of every element of a list entry's `Ports` that names every interface of the
/// node, and drops the copies this makes.
pub fn rewrite_list_ports(ports: &mut Vec<Value>, node_ip: &str) {
    let same =
        |a: &Value, b: &Value| a["PrivatePort"] == b["PrivatePort"] && a["Type"] == b["Type"];
    let whole = ports.clone();
    ports.retain(|port| {
        !foreign_wildcard(port["IP"].as_str(), node_ip)
            || !whole
                .iter()
                .any(|other| same(other, port) && own_wildcard(other["IP"].as_str(), node_ip))
    });
    for port in ports.iter_mut().filter_map(Value::as_object_mut) {
        rewrite_ip(port, "IP", node_ip);
    }
    dedup(ports);
}

/// The same for the list of bindings (`HostIp`, `HostPort`) of one port in an inspect answer, where
/// an empty address also stands for every interface.
pub fn rewrite_bindings(bindings: &mut Vec<Value>, node_ip: &str) {
    let own = bindings.iter().any(|one| own_wildcard(one["HostIp"].as_str(), node_ip));
    bindings.retain(|one| !(own && foreign_wildcard(one["HostIp"].as_str(), node_ip)));
    for binding in bindings.iter_mut().filter_map(Value::as_object_mut) {
        if binding.get("HostIp").is_some_and(|ip| ip == "") {
            binding.insert("HostIp".into(), node_ip.into());
        }
        rewrite_ip(binding, "HostIp", node_ip);
    }
    dedup(bindings);
}

fn rewrite_ip(object: &mut Map<String, Value>, key: &str, node_ip: &str) {
    if object.get(key).and_then(Value::as_str).is_some_and(is_wildcard) {
        object.insert(key.to_owned(), node_ip.into());
    }
}

fn own_wildcard(ip: Option<&str>, node_ip: &str) -> bool {
    ip.is_some_and(|ip| is_wildcard(ip) && ip.contains(':') == node_ip.contains(':'))
}

fn foreign_wildcard(ip: Option<&str>, node_ip: &str) -> bool {
    ip.is_some_and(|ip| is_wildcard(ip) && ip.contains(':') != node_ip.contains(':'))
}

fn dedup(values: &mut Vec<Value>) {
    let mut seen = Vec::with_capacity(values.len());
    for value in values.drain(..) {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    *values = seen;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_families_become_one_reachable_address() {
        let port = |ip: &str, public: u16| json!({"IP": ip, "PrivatePort": 80, "PublicPort": public, "Type": "tcp"});
        let mut ports = vec![port("0.0.0.0", 8080), port("::", 8081), port("127.0.0.1", 9)];
        ports.push(json!({"PrivatePort": 81, "Type": "tcp"}));
        rewrite_list_ports(&mut ports, "10.0.0.7");
        let last = json!({"PrivatePort": 81, "Type": "tcp"});
        assert_eq!(ports, [port("10.0.0.7", 8080), port("127.0.0.1", 9), last]);

        let mut only_six = vec![port("::", 8081)];
        rewrite_list_ports(&mut only_six, "10.0.0.7");
        assert_eq!(only_six, [port("10.0.0.7", 8081)]);
    }

    #[test]
    fn bindings_without_an_address_get_the_nodes() {
        let mut bindings =
            vec![json!({"HostIp": "", "HostPort": "1"}), json!({"HostIp": "::", "HostPort": "1"})];
        rewrite_bindings(&mut bindings, "10.0.0.7");
        assert_eq!(bindings, [json!({"HostIp": "10.0.0.7", "HostPort": "1"})]);
    }

    #[test]
    fn port_keys_default_to_tcp() {
        assert_eq!(parse_port_key("80"), Some((80, Protocol::Tcp)));
        assert_eq!(parse_port_key("53/udp"), Some((53, Protocol::Udp)));
        assert_eq!(parse_port_key("x/tcp"), None);
        assert_eq!(parse_port_key("1/icmp"), None);
        let binding = PortBinding { host_port: "8000-8010".into(), ..PortBinding::default() };
        assert_eq!((binding.fixed_port(), binding.on_every_address()), (None, true));
    }
}
