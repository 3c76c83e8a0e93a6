//! What the events of an object tell of it, and the event that a change of it is: pure.
//!
//! Source: an engine's own swarm mode (20.10 and 28.5), watched by `docker events`: attributes are the
//! name, and of what changed `KEY.old` and `KEY.new`.

use std::collections::BTreeMap;

use serde::Serialize;
use swarm_model::service::Mode;
use swarm_model::{Network, Node, Service, Time};

use crate::replica::{Config, Secret};

/// What is told alone when there was none before: the first update of a service.
const ALONE: &str = "updatestate";

/// What of an object is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    name: String,
    version: u64,
    created_at: Time,
    updated_at: Time,
    facts: BTreeMap<&'static str, String>,
}

impl Face {
    fn new(name: &str, version: u64, created_at: Time, updated_at: Time) -> Self {
        let (name, facts) = (name.to_owned(), BTreeMap::new());
        Self { name, version, created_at, updated_at, facts }
    }

    fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.facts.insert(key, value.into());
        self
    }

    /// A node's; `leader` is the address of the manager that leads.
    pub fn of_node(node: &Node, leader: Option<&str>) -> Self {
        let face = Self::new(node.name(), node.version.index, node.created_at, node.updated_at)
            .with("role", node.spec.role.as_str())
            .with("availability", word(&node.spec.availability))
            .with("state", word(&node.status.state));
        match &node.manager_status {
            None => face,
            Some(status) => face
                .with("reachability", word(&status.reachability))
                .with("leader", (leader == Some(&status.addr)).to_string()),
        }
    }

    /// A service's.
    pub fn of_service(service: &Service) -> Self {
        let spec = &service.spec;
        let version = service.version.index;
        let mut face = Self::new(&spec.name, version, service.created_at, service.updated_at);
        if let Some(container) = &spec.task_template.container_spec {
            face = face.with("image", container.image.as_str());
        }
        if let Mode::Replicated { replicas } = spec.mode.decided() {
            face = face.with("replicas", replicas.to_string());
        }
        if let Some(update) = &service.update_status {
            face = face.with(ALONE, word(&update.state));
        }
        face
    }

    /// A secret's.
    pub fn of_secret(secret: &Secret) -> Self {
        let version = secret.version.index;
        Self::new(&secret.spec.name, version, secret.created_at, secret.updated_at)
    }

    /// A config's.
    pub fn of_config(config: &Config) -> Self {
        let version = config.version.index;
        Self::new(&config.spec.name, version, config.created_at, config.updated_at)
    }

    /// A network's.
    pub fn of_network(network: &Network) -> Self {
        let version = network.version.index;
        Self::new(&network.spec.name, version, network.created_at, network.updated_at)
    }
}

/// The word that a value is in JSON.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// What happened to an object between two looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// `create`, `update` or `remove`.
    pub action: &'static str,
    /// When.
    pub at: Time,
    /// What is told.
    pub attributes: BTreeMap<String, String>,
}

/// Compares two looks at one object; `now` is when it is missed, or a leader changed.
pub fn compare(old: Option<&Face>, new: Option<&Face>, now: Time) -> Option<Happened> {
    let happened = |action, at, face: &Face| Happened {
        action,
        at,
        attributes: BTreeMap::from([("name".to_owned(), face.name.clone())]),
    };
    match (old, new) {
        (None, None) => None,
        (None, Some(new)) => Some(happened("create", new.created_at, new)),
        (Some(old), None) => Some(happened("remove", now, old)),
        (Some(old), Some(new)) if old == new => None,
        (Some(old), Some(new)) => {
            let at = if old.version == new.version { now } else { new.updated_at };
            let mut update = happened("update", at, new);
            for (key, value) in &new.facts {
                let before = old.facts.get(key);
                if before == Some(value) || (before.is_none() && *key != ALONE) {
                    continue;
                }
                if let Some(before) = before {
                    update.attributes.insert(format!("{key}.old"), before.clone());
                }
                update.attributes.insert(format!("{key}.new"), value.clone());
            }
            Some(update)
        }
    }
}

#[cfg(test)]
mod tests {
    use swarm_model::node::{ManagerStatus, NodeState};
    use swarm_model::service::{ServiceMode, ServiceSpec, UpdateState, UpdateStatus};
    use swarm_model::{Availability, Version};

    use super::*;

    fn told(old: &Face, new: &Face) -> Vec<String> {
        let update = compare(Some(old), Some(new), Time(99)).unwrap();
        assert_eq!((update.action, update.at), ("update", Time(7)));
        update.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    fn service(replicas: u64) -> Service {
        let mode = ServiceMode::replicated(replicas);
        let spec = ServiceSpec { name: "web".into(), mode, ..ServiceSpec::default() };
        let version = Version { index: replicas };
        Service { spec, version, created_at: Time(3), updated_at: Time(7), ..Service::default() }
    }

    #[test]
    fn a_service_is_scaled_and_updated() {
        let (one, mut two) = (service(1), service(2));
        assert_eq!(
            told(&Face::of_service(&one), &Face::of_service(&two)),
            ["name=web", "replicas.new=2", "replicas.old=1"]
        );
        let before = Face::of_service(&two);
        let update = |state| {
            let (started_at, completed_at, message) = (Time(5), Time(0), String::new());
            Some(UpdateStatus { state, started_at, completed_at, message })
        };
        two.update_status = update(UpdateState::Updating);
        let updating = Face::of_service(&two);
        // A change without another version is a leader's; here it only keeps the time out.
        assert_eq!(
            compare(Some(&before), Some(&updating), Time(99)).unwrap().attributes,
            BTreeMap::from([
                ("name".to_owned(), "web".to_owned()),
                ("updatestate.new".to_owned(), "updating".to_owned()),
            ])
        );
        two.update_status = update(UpdateState::Paused);
        two.version.index += 1;
        assert_eq!(
            told(&updating, &Face::of_service(&two)),
            ["name=web", "updatestate.new=paused", "updatestate.old=updating"]
        );
    }

    #[test]
    fn a_node_changes_and_leads() {
        let mut node = Node { id: "n1".into(), updated_at: Time(7), ..Node::default() };
        node.description.hostname = "host-1".into();
        node.manager_status =
            Some(ManagerStatus { addr: "a:1".into(), ..ManagerStatus::default() });
        let before = Face::of_node(&node, Some("b:1"));
        let leads = compare(Some(&before), Some(&Face::of_node(&node, Some("a:1"))), Time(99));
        let leads = leads.unwrap();
        assert_eq!(leads.at, Time(99));
        assert_eq!(
            (&*leads.attributes["leader.old"], &*leads.attributes["leader.new"]),
            ("false", "true")
        );
        node.spec.availability = Availability::Drain;
        node.status.state = NodeState::Ready;
        node.version.index = 1;
        assert_eq!(
            told(&before, &Face::of_node(&node, Some("b:1"))),
            [
                "availability.new=drain",
                "availability.old=active",
                "name=host-1",
                "state.new=ready",
                "state.old=unknown",
            ]
        );
    }

    #[test]
    fn what_comes_and_goes_is_told_by_name() {
        let face = Face::of_service(&service(1));
        let create = compare(None, Some(&face), Time(99)).unwrap();
        assert_eq!((create.action, create.at), ("create", Time(3)));
        let remove = compare(Some(&face), None, Time(99)).unwrap();
        assert_eq!((remove.action, remove.at), ("remove", Time(99)));
        assert_eq!(remove.attributes, create.attributes);
        assert_eq!(compare(Some(&face), Some(&face), Time(99)), None);
    }
}
