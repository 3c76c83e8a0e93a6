//! What the dependency and affinity filters ask about containers, as a trait that the runtime's
//! index implements.
//!
//! Both exact questions are look-ups; only patterns and label affinities scan.

use std::collections::{BTreeMap, HashSet};

use super::node::NodeId;

/// A container's labels, in whatever form the index keeps them.
pub trait Labels {
    /// One label's value.
    fn label(&self, key: &str) -> Option<&str>;
}

impl Labels for BTreeMap<String, String> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

impl<K: AsRef<str>, V: AsRef<str>> Labels for Vec<(K, V)> {
    fn label(&self, key: &str) -> Option<&str> {
        self.iter().find(|(k, _)| k.as_ref() == key).map(|(_, v)| v.as_ref())
    }
}

/// One container, as a scan shows it.
#[derive(Clone, Copy)]
pub struct ContainerFacts<'a> {
    /// Full id; empty for one that is still being created.
    pub id: &'a str,
    /// Name without the leading slash and without the node.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a dyn Labels,
}

impl std::fmt::Debug for ContainerFacts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContainerFacts").field("id", &self.id).field("name", &self.name).finish()
    }
}

/// The runtime's index of containers. Its answers may be a moment old; the engine has the last
/// word.
pub trait ContainerLookup {
    /// Engines that have a container with exactly this full id or this name (no leading slash).
    fn nodes_with(&self, id_or_name: &str) -> HashSet<NodeId>;

    /// Engines on which a Docker client's way to name a container finds one: full id, short id,
    /// swarm id (`com.docker.swarm.id`), name, `node/name`, or an id prefix that only one has.
    fn nodes_resolving(&self, reference: &str) -> HashSet<NodeId>;

    /// Engines that have at least one container for which `predicate` holds. Costs a scan.
    fn nodes_matching(&self, predicate: &dyn Fn(&ContainerFacts<'_>) -> bool) -> HashSet<NodeId>;
}

/// No containers at all: for places where there is no index, and for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoContainers;

impl ContainerLookup for NoContainers {
    fn nodes_with(&self, _: &str) -> HashSet<NodeId> {
        HashSet::new()
    }

    fn nodes_resolving(&self, _: &str) -> HashSet<NodeId> {
        HashSet::new()
    }

    fn nodes_matching(&self, _: &dyn Fn(&ContainerFacts<'_>) -> bool) -> HashSet<NodeId> {
        HashSet::new()
    }
}

/// A plain list, scanned for every question: for tests and for pools of a few containers.
#[derive(Debug, Clone, Default)]
pub struct ContainerList(pub Vec<ListedContainer>);

/// One entry of a [`ContainerList`].
#[derive(Debug, Clone)]
pub struct ListedContainer {
    /// Where it is.
    pub node: NodeId,
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl ContainerList {
    fn nodes(&self, keep: impl Fn(&ListedContainer) -> bool) -> HashSet<NodeId> {
        self.0.iter().filter(|c| keep(c)).map(|c| c.node.clone()).collect()
    }
}

impl ContainerLookup for ContainerList {
    fn nodes_with(&self, id_or_name: &str) -> HashSet<NodeId> {
        self.nodes(|c| c.id == id_or_name || c.name == id_or_name)
    }

    fn nodes_resolving(&self, reference: &str) -> HashSet<NodeId> {
        let swarm_id = |c: &ListedContainer| {
            c.labels.get(super::request::LABEL_ID).is_some_and(|id| id == reference)
        };
        let named = self.nodes(|c| c.id == reference || c.name == reference || swarm_id(c));
        if !named.is_empty() || reference.is_empty() {
            return named;
        }
        self.nodes(|c| c.id.starts_with(reference))
    }

    fn nodes_matching(&self, predicate: &dyn Fn(&ContainerFacts<'_>) -> bool) -> HashSet<NodeId> {
        self.nodes(|c| predicate(&ContainerFacts { id: &c.id, name: &c.name, labels: &c.labels }))
    }
}
