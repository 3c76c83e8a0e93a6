//! What a node must be for a task, whatever runs on it: constraints, platform, plugins, what its owner
//! allows. The
//! orchestrators ask the same when they enforce constraints on tasks that run.

use std::net::IpAddr;

use ipnet::IpNet;
use swarm_model::Node;
use swarm_model::service::constraint::Constraint;
use swarm_model::service::host::{Ask, grants};
use swarm_model::service::{Platform, TaskSpec};

use super::refusal::Filter;

/// What a constraint is about.
#[derive(Debug, Clone)]
enum Key {
    Id,
    Hostname,
    Role,
    Os,
    Arch,
    /// `None`: no address, which no node has.
    Ip(Option<IpNet>),
    NodeLabel(String),
    EngineLabel(String),
    /// Docker lets it pass the check of the spec, and it never holds.
    Unknown,
}

/// Which nodes suit a task.
#[derive(Debug, Clone, Default)]
pub struct Fits {
    constraints: Vec<(Key, Constraint)>,
    platforms: Vec<Platform>,
    drivers: Vec<String>,
    log_driver: Option<String>,
    asks: Vec<Ask>,
}

impl Fits {
    /// What the spec asks of a node. A constraint that does not parse was refused with the spec;
    /// should there be one, no node suits.
    pub fn new(spec: &TaskSpec) -> Self {
        let mut fits = Self::default();
        if let Some(placement) = &spec.placement {
            fits.constraints.extend(placement.constraints.iter().map(
                |text| match Constraint::parse(text) {
                    Ok(constraint) => (key(&constraint), constraint),
                    Err(_) => (Key::Unknown, never()),
                },
            ));
            fits.platforms.extend(placement.platforms.iter().cloned());
        }
        let mounts = spec.container_spec.iter().flat_map(|container| &container.mounts);
        fits.drivers.extend(mounts.filter_map(|mount| mount.driver()).map(str::to_owned));
        let log = spec.rest.get("LogDriver").and_then(|log| log.get("Name")?.as_str());
        fits.log_driver = log.filter(|name| !matches!(*name, "" | "none")).map(str::to_owned);
        // Labels that cannot be read were refused with the spec; the agent refuses them too.
        fits.asks = spec.host.as_ref().and_then(|asks| asks.read().ok()).unwrap_or_default();
        fits
    }

    /// What the node's owner does not allow of what is asked for, in words.
    pub fn disallowed(&self, node: &Node) -> Option<&'static str> {
        grants::lacks(&node.description.allows, &self.asks).map(Ask::words)
    }

    /// The first filter that the node does not pass.
    pub fn refused_by(&self, node: &Node) -> Option<Filter> {
        let has_all = self.drivers.iter().all(|driver| has_plugin(node, "Volume", driver))
            // A node that names no log driver at all is an engine that does not tell them.
            && self.log_driver.iter().all(|driver| {
                has_plugin(node, "Log", driver) || !plugins(node, "Log").any(|_| true)
            });
        if !has_all {
            return Some(Filter::Plugin);
        }
        if !self.constraints.iter().all(|(key, constraint)| holds(key, constraint, node)) {
            return Some(Filter::Constraint);
        }
        if !self.platforms.is_empty() {
            let own = &node.description.platform;
            let any = |wanted: &Platform| {
                let arch = &wanted.architecture;
                (arch.is_empty() || processor(arch) == processor(&own.architecture))
                    && (wanted.os.is_empty() || wanted.os == own.os)
            };
            if !self.platforms.iter().any(any) {
                return Some(Filter::Platform);
            }
        }
        self.disallowed(node).map(Filter::Allowed)
    }
}

fn never() -> Constraint {
    use swarm_model::service::constraint::Operator;
    Constraint { key: String::new(), operator: Operator::Equal, value: String::new() }
}

fn key(constraint: &Constraint) -> Key {
    let lower = constraint.key.to_ascii_lowercase();
    let rest = |prefix: &str| constraint.key.get(prefix.len()..).unwrap_or_default().to_owned();
    match lower.as_str() {
        "node.id" => Key::Id,
        "node.hostname" => Key::Hostname,
        "node.role" => Key::Role,
        "node.platform.os" => Key::Os,
        "node.platform.arch" => Key::Arch,
        "node.ip" => {
            let single = constraint.value.parse::<IpAddr>().map(IpNet::from);
            Key::Ip(single.ok().or_else(|| constraint.value.parse().ok()))
        }
        key if key.starts_with("node.labels.") => Key::NodeLabel(rest("node.labels.")),
        key if key.starts_with("engine.labels.") => Key::EngineLabel(rest("engine.labels.")),
        _ => Key::Unknown,
    }
}

fn holds(key: &Key, constraint: &Constraint, node: &Node) -> bool {
    let description = &node.description;
    // A label that is not there is an empty one.
    let label = |labels: &std::collections::BTreeMap<String, String>, name: &str| {
        constraint.holds_for(labels.get(name).map_or("", String::as_str))
    };
    match key {
        Key::Id => constraint.holds_for(&node.id),
        Key::Hostname => constraint.holds_for(&description.hostname),
        Key::Role => constraint.holds_for(node.spec.role.as_str()),
        Key::Os => constraint.holds_for(&description.platform.os),
        Key::Arch => constraint.holds_for(&description.platform.architecture),
        Key::Ip(None) | Key::Unknown => false,
        Key::Ip(Some(net)) => {
            let address = node.status.addr.parse::<IpAddr>();
            constraint.holds(address.is_ok_and(|address| net.contains(&address)))
        }
        Key::NodeLabel(name) => label(&node.spec.labels, name),
        Key::EngineLabel(name) => label(&description.engine.labels, name),
    }
}

fn plugins<'a>(node: &'a Node, kind: &'a str) -> impl Iterator<Item = &'a str> {
    let all = node.description.engine.plugins.iter();
    all.filter(move |plugin| plugin.kind == kind).map(|plugin| plugin.name.as_str())
}

/// A plugin's name may carry its tag; Docker takes `:latest` for granted.
fn has_plugin(node: &Node, kind: &str, driver: &str) -> bool {
    let plain = |name: &str| name.strip_suffix(":latest").unwrap_or(name).to_owned();
    plugins(node, kind).any(|name| plain(name) == plain(driver))
}

/// Kernels and images name the same processor differently.
fn processor(architecture: &str) -> &str {
    match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
