//! Where a port of a container or a task is reached by the proxy: published on its host, or, where the
//! proxy is in their networks, at their own addresses.

use std::collections::BTreeMap;
use std::fmt;

use crate::cluster::Task;
use crate::container::Container;
use crate::sight::Sight;

/// How the proxy reaches what it stands before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Own addresses and ports, not published ones.
    pub internal: bool,
    /// In which network; `None` for the first by name that gives an address.
    pub network: Option<String>,
}

/// An address and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// An address or a name; IPv6 without brackets.
    pub address: String,
    /// A port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.address.contains(':') {
            write!(f, "[{}]:{}", self.address, self.port)
        } else {
            write!(f, "{}:{}", self.address, self.port)
        }
    }
}

impl Settings {
    /// Where a container's TCP port is reached, or why it is not.
    pub fn container(
        &self,
        sight: &Sight,
        container: &Container,
        port: u16,
    ) -> Result<Endpoint, String> {
        if self.internal && !container.on_host {
            let address = self.own(&container.networks, "it")?;
            return Ok(Endpoint { address, port });
        }
        let found = container.port(port);
        let Some(found) = found.and_then(|found| Some((found.public?, found.ip.clone()))) else {
            return Err(format!("its port {port} is not published"));
        };
        let (public, ip) = found;
        let address = match ip {
            Some(ip) => ip,
            None => address_of(sight, &container.node)?,
        };
        Ok(Endpoint { address, port: public })
    }

    /// Where a task's TCP port is reached, or why it is not.
    pub fn task(&self, sight: &Sight, task: &Task, port: u16) -> Result<Endpoint, String> {
        if self.internal {
            let address = self.own(&task.networks, "the task")?;
            return Ok(Endpoint { address, port });
        }
        let service = sight.services.iter().find(|service| service.id == task.service_id);
        let of_service = service.into_iter().flat_map(|service| &service.ports);
        let mut all = task.ports.iter().chain(of_service.filter(|port| port.mode != "host"));
        let found = all.find(|found| found.target == port && found.protocol == "tcp");
        let Some(public) = found.and_then(|found| found.published) else {
            return Err(format!("its port {port} is not published"));
        };
        Ok(Endpoint { address: address_of(sight, &task.node)?, port: public })
    }

    fn own(&self, networks: &BTreeMap<String, String>, who: &str) -> Result<String, String> {
        if let Some(name) = &self.network {
            let found = networks.get(name).cloned();
            return found.ok_or_else(|| format!("{who} has no address in the network {name}"));
        }
        // The mesh's own network is no way to a container for anybody else.
        let mut usual = networks.iter().filter(|(name, _)| *name != "ingress");
        let found = usual.next().map(|(_, address)| address.clone());
        found.ok_or_else(|| format!("{who} has no address of its own"))
    }
}

fn address_of(sight: &Sight, node: &str) -> Result<String, String> {
    let address = sight.node(node).map(|node| node.address.clone());
    let known = address.filter(|address| !address.is_empty());
    known.ok_or_else(|| format!("the address of its node {node:?} is not known"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Node, Service, ServicePort};
    use crate::container::Port;

    fn said(found: Result<Endpoint, String>) -> String {
        found.map_or_else(|reason| reason, |endpoint| endpoint.to_string())
    }

    fn sight() -> Sight {
        let address = "10.0.0.1".to_owned();
        let node = Node { name: "h".into(), address, ready: true, ..Node::default() };
        let port = ServicePort {
            target: 80,
            published: Some(30_000),
            protocol: "tcp".into(),
            mode: "ingress".into(),
        };
        let service = Service { id: "s".into(), ports: vec![port], ..Service::default() };
        Sight { nodes: vec![node], services: vec![service], ..Sight::default() }
    }

    #[test]
    fn a_published_port_is_on_the_node_and_an_own_one_in_a_network() {
        let tcp = |private, public, ip: Option<&str>| Port {
            private,
            public,
            protocol: "tcp".into(),
            ip: ip.map(str::to_owned),
        };
        let mut container = Container {
            node: "h".into(),
            ports: vec![
                tcp(80, Some(8080), None),
                tcp(81, Some(81), Some("fd00::1")),
                tcp(82, None, None),
            ],
            networks: BTreeMap::from([
                ("a".into(), "172.18.0.2".into()),
                ("b".into(), "172.19.0.2".into()),
            ]),
            ..Container::default()
        };
        let published = Settings::default();
        let ask = |settings: &Settings, container: &Container, port| {
            said(settings.container(&sight(), container, port))
        };
        assert_eq!(ask(&published, &container, 80), "10.0.0.1:8080");
        assert_eq!(ask(&published, &container, 81), "[fd00::1]:81");
        assert_eq!(ask(&published, &container, 82), "its port 82 is not published");
        assert_eq!(ask(&published, &container, 83), "its port 83 is not published");
        let mut internal = Settings { internal: true, network: None };
        assert_eq!(ask(&internal, &container, 82), "172.18.0.2:82");
        internal.network = Some("b".into());
        assert_eq!(ask(&internal, &container, 82), "172.19.0.2:82");
        internal.network = Some("c".into());
        assert_eq!(ask(&internal, &container, 82), "it has no address in the network c");
        container.node = "other".into();
        let unknown = "the address of its node \"other\" is not known";
        assert_eq!(ask(&published, &container, 80), unknown);
    }

    #[test]
    fn a_task_is_reached_by_its_services_port_or_its_own() {
        let task = Task {
            service_id: "s".into(),
            node: "h".into(),
            networks: BTreeMap::from([
                ("ingress".into(), "10.255.0.3".into()),
                ("net".into(), "10.1.0.3".into()),
            ]),
            ..Task::default()
        };
        let published = Settings::default();
        assert_eq!(said(published.task(&sight(), &task, 80)), "10.0.0.1:30000");
        assert_eq!(said(published.task(&sight(), &task, 81)), "its port 81 is not published");
        let internal = Settings { internal: true, network: None };
        assert_eq!(said(internal.task(&sight(), &task, 81)), "10.1.0.3:81");
    }
}
