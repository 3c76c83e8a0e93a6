//! The hosts that containers and services ask to answer for, and who answers: what the ready templates
//! are made of.
//!
//! Invariants: the order depends on nothing but what is there; names are unique and plain; a location
//! whose backends are all out of sight keeps them, for then it is the endpoint that sees badly.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::cluster::Service;
use crate::container::Container;
use crate::reach::{Endpoint, Settings};
use crate::sight::Sight;
use crate::words::{Wish, wish};

/// A host name and what is behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// The name, perhaps with `*.` before it.
    pub host: String,
    /// The name without `*.`, where it has that.
    pub suffix: Option<String>,
    /// Its paths, the longest first.
    pub locations: Vec<Location>,
}

/// What is behind a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// What a request's path begins with.
    pub path: String,
    /// A word that no other location has.
    pub name: String,
    /// Who answers; perhaps nobody now.
    pub backends: Vec<Backend>,
}

/// One that answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// A word that no other backend of the location has.
    pub name: String,
    /// Address and port as one word.
    pub endpoint: String,
    /// The address.
    pub address: String,
    /// The port.
    pub port: u16,
    /// Only for when no other answers: its node is out of sight.
    pub backup: bool,
}

/// By endpoint: name and whether it is a backup.
type Behind = BTreeMap<Endpoint, (String, bool)>;

#[derive(Default)]
struct Builder {
    behind: BTreeMap<String, BTreeMap<String, Behind>>,
    refused: Vec<(String, String)>,
}

/// All hosts, and who is left out (its name) with the reason.
pub fn sites(sight: &Sight, settings: &Settings) -> (Vec<Site>, Vec<(String, String)>) {
    let mut builder = Builder::default();
    for service in &sight.services {
        builder.service(sight, settings, service);
    }
    for container in &sight.containers {
        // A task's words are its service's, which is looked at as a whole.
        if !sight.has_services || container.task.is_empty() {
            builder.container(sight, settings, container);
        }
    }
    builder.finish()
}

impl Builder {
    fn container(&mut self, sight: &Sight, settings: &Settings, container: &Container) {
        let name = if container.node.is_empty() || sight.nodes.len() < 2 {
            container.name.clone()
        } else {
            format!("{}/{}", container.node, container.name)
        };
        let wish = match wish(&container.labels, &container.env) {
            Ok(Some(wish)) => wish,
            Ok(None) => return,
            Err(reason) => return self.refused.push((name, reason)),
        };
        let reached = container_port(container, &wish, settings)
            .and_then(|port| settings.container(sight, container, port));
        match reached {
            Ok(endpoint) => {
                let out_of_sight =
                    container.lost || sight.node(&container.node).is_some_and(|node| !node.ready);
                let id = container.id.get(..12).unwrap_or(&container.id);
                let one = (endpoint, (format!("{}-{id}", container.name), out_of_sight));
                self.put(&wish, Some(&one).filter(|_| container.ready));
            }
            // Between its start and its network it has no ports, and a paused one may have none.
            Err(_) if !container.ready => self.put(&wish, None),
            Err(reason) => self.refused.push((name, reason)),
        }
    }

    fn service(&mut self, sight: &Sight, settings: &Settings, service: &Service) {
        let wish = match wish(&service.labels, &service.env) {
            Ok(Some(wish)) => wish,
            Ok(None) => return,
            Err(reason) => return self.refused.push((service.name.clone(), reason)),
        };
        let port = match service_port(service, &wish, settings) {
            Ok(port) => port,
            Err(reason) => return self.refused.push((service.name.clone(), reason)),
        };
        self.put(&wish, None);
        let mut tasks = sight.tasks.iter().filter(|t| t.service_id == service.id && t.ready);
        let mesh = service.ports.iter().find(|p| p.target == port && p.mode == "ingress");
        if let (false, Some(public)) = (settings.internal, mesh.and_then(|port| port.published)) {
            // Every node takes connections for a service that has tasks.
            let nodes = sight.nodes.iter().filter(|node| node.ready && !node.address.is_empty());
            for node in nodes.filter(|_| tasks.clone().next().is_some()) {
                let endpoint = Endpoint { address: node.address.clone(), port: public };
                self.put(&wish, Some(&(endpoint, (node.name.clone(), false))));
            }
            return;
        }
        let refused = tasks.find_map(|task| match settings.task(sight, task, port) {
            Ok(endpoint) => {
                let id = task.id.get(..12).unwrap_or(&task.id);
                self.put(&wish, Some(&(endpoint, (format!("{}-{id}", service.name), false))));
                None
            }
            Err(reason) => Some(reason),
        });
        self.refused.extend(refused.map(|reason| (service.name.clone(), reason)));
    }

    fn put(&mut self, wish: &Wish, backend: Option<&(Endpoint, (String, bool))>) {
        for host in &wish.hosts {
            let paths = self.behind.entry(host.clone()).or_default();
            let behind = paths.entry(wish.path.clone()).or_default();
            behind.extend(backend.cloned());
        }
    }

    fn finish(self) -> (Vec<Site>, Vec<(String, String)>) {
        let mut names = BTreeSet::new();
        let mut all: Vec<Site> = Vec::new();
        for (host, paths) in self.behind {
            let mut locations: Vec<Location> = paths
                .into_iter()
                .map(|(path, behind)| {
                    let name = unique(&mut names, &format!("{host}{}", path.trim_end_matches('/')));
                    Location { path, name, backends: backends(behind) }
                })
                .collect();
            locations.sort_by(|a, b| (b.path.len(), &a.path).cmp(&(a.path.len(), &b.path)));
            let suffix = host.strip_prefix("*.").map(str::to_owned);
            all.push(Site { host, suffix, locations });
        }
        // Exact names before wildcards, and the longest of those first: as nginx chooses.
        let weight =
            |site: &Site| site.suffix.as_ref().map_or(0, |suffix| usize::MAX - suffix.len());
        all.sort_by(|a, b| (weight(a), &a.host).cmp(&(weight(b), &b.host)));
        (all, self.refused)
    }
}

fn backends(behind: Behind) -> Vec<Backend> {
    let all_lost = behind.values().all(|(_, backup)| *backup);
    let mut names = BTreeSet::new();
    let mut all: Vec<Backend> = behind
        .into_iter()
        .map(|(endpoint, (name, backup))| Backend {
            name: unique(&mut names, &name),
            endpoint: endpoint.to_string(),
            address: endpoint.address,
            port: endpoint.port,
            backup: backup && !all_lost,
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The port that is named; or else the only one, or 80.
fn container_port(container: &Container, wish: &Wish, settings: &Settings) -> Result<u16, String> {
    if let Some(port) = wish.port {
        return Ok(port);
    }
    let open = container.ports.iter().filter(|port| port.protocol == "tcp");
    let usable = open.filter(|port| settings.internal || port.public.is_some());
    only(&usable.map(|port| port.private).collect(), settings)
}

fn service_port(service: &Service, wish: &Wish, settings: &Settings) -> Result<u16, String> {
    if let Some(port) = wish.port {
        let is_published = service.ports.iter().any(|p| p.target == port && p.protocol == "tcp");
        if is_published || settings.internal {
            return Ok(port);
        }
        return Err(format!("its port {port} is not published"));
    }
    let open = service.ports.iter().filter(|port| port.protocol == "tcp");
    only(&open.map(|port| port.target).collect(), settings)
}

fn only(ports: &BTreeSet<u16>, settings: &Settings) -> Result<u16, String> {
    match (ports.len(), ports.first()) {
        (1, Some(port)) => Ok(*port),
        _ if ports.contains(&80) => Ok(80),
        (0, _) if settings.internal => Err("it names no port and exposes none".to_owned()),
        (0, _) => Err("it publishes no port".to_owned()),
        (count, _) => Err(format!(
            "it has {count} ports; com.docker.swarm.proxy.port or VIRTUAL_PORT names one"
        )),
    }
}

/// A plain word that is not taken yet.
fn unique(taken: &mut BTreeSet<String>, text: &str) -> String {
    let word = word(text);
    let mut candidate = word.clone();
    let mut count = 2_u32;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{word}-{count}");
        count += 1;
    }
    candidate
}

/// A text as one word of letters, digits, `.`, `-` and `_`.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    text.chars().map(|c| if plain(c) { c } else { '_' }).collect()
}

#[cfg(test)]
#[path = "sites_tests.rs"]
mod tests;
