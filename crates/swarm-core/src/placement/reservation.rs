//! Reservations: what has been decided and is not yet on an engine, so that parallel creates never
//! overbook one, share a port or a name, and see each other's names and labels.
//!
//! A [`Board`] holds the newest summary of every engine together with the claims on it. Whoever owns
//! it places and holds in one step, under its own lock; this type does no locking. A claim is held
//! from the decision until the engine has answered, and is released together with the summary that
//! has the new container in it ([`Board::settle`]), so that at no moment neither counts.
//!
//! Invariant: `nodes()[i]` is the published summary of that engine plus all claims held on it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::containers::{ContainerFacts, ContainerLookup};
use super::node::{NodeId, NodeSummary, Resources};
use super::ports::PortUse;
use super::request::Request;

/// Names one held reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimId(u64);

/// What one request takes from an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    node: NodeId,
    name: String,
    labels: Vec<(String, String)>,
    resources: Resources,
    ports: Vec<PortUse>,
    host_ports: Vec<PortUse>,
}

/// A reservation cannot be held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    /// The engine has left the pool since the decision.
    #[error("node {0} is no longer in the pool")]
    NodeGone(NodeId),
    /// Another create is under way with this name.
    #[error("the name {0:?} is already reserved by another create")]
    NameTaken(String),
}

/// Summaries and the claims on them.
#[derive(Debug, Clone, Default)]
pub struct Board {
    published: Vec<Arc<NodeSummary>>,
    nodes: Vec<Arc<NodeSummary>>,
    index: HashMap<NodeId, usize>,
    claims: HashMap<ClaimId, Claim>,
    names: HashSet<String>,
    last: u64,
}

impl Board {
    /// The engines with all claims counted: what [`super::place::place`] takes.
    pub fn nodes(&self) -> &[Arc<NodeSummary>] {
        &self.nodes
    }

    /// One engine with its claims counted.
    pub fn node(&self, id: &NodeId) -> Option<&Arc<NodeSummary>> {
        self.index.get(id).and_then(|at| self.nodes.get(*at))
    }

    /// Takes the newest summary of an engine, known or new.
    pub fn publish(&mut self, summary: Arc<NodeSummary>) {
        let id = summary.id.clone();
        if let Some(at) = self.index.get(&id) {
            self.published[*at] = summary;
        } else {
            self.index.insert(id.clone(), self.published.len());
            self.published.push(summary.clone());
            self.nodes.push(summary);
        }
        self.refresh(&id);
    }

    /// Forgets an engine; its claims stay until they are released, and count again should it return.
    pub fn remove(&mut self, id: &NodeId) {
        let Some(at) = self.index.remove(id) else { return };
        self.published.swap_remove(at);
        self.nodes.swap_remove(at);
        if let Some(moved) = self.published.get(at) {
            self.index.insert(moved.id.clone(), at);
        }
    }

    /// Holds what `request` takes on `node`. A range of ports holds the lowest free one.
    pub fn hold(&mut self, node: &NodeId, request: &Request) -> Result<ClaimId, HoldError> {
        let view = self.node(node).ok_or_else(|| HoldError::NodeGone(node.clone()))?;
        if !request.name.is_empty() && self.names.contains(&request.name) {
            return Err(HoldError::NameTaken(request.name.clone()));
        }
        let mut ports = Vec::with_capacity(request.ports.len());
        for wish in &request.ports {
            ports.extend(wish.pick(&view.ports, &ports));
        }
        let claim = Claim {
            node: node.clone(),
            name: request.name.clone(),
            labels: request.labels.clone(),
            resources: request.resources,
            ports,
            host_ports: request.host_ports.clone(),
        };
        if !claim.name.is_empty() {
            self.names.insert(claim.name.clone());
        }
        self.last += 1;
        let id = ClaimId(self.last);
        self.claims.insert(id, claim);
        self.refresh(node);
        Ok(id)
    }

    /// Lets a reservation go; one that is not held is none to let go.
    pub fn release(&mut self, id: ClaimId) {
        if let Some(claim) = self.claims.remove(&id) {
            self.names.remove(&claim.name);
            self.refresh(&claim.node);
        }
    }

    /// The engine has the container now: takes the summary that shows it and releases the claim.
    pub fn settle(&mut self, id: ClaimId, summary: Arc<NodeSummary>) {
        if let Some(claim) = self.claims.remove(&id) {
            self.names.remove(&claim.name);
            if claim.node != summary.id {
                self.refresh(&claim.node);
            }
        }
        self.publish(summary);
    }

    /// Whether a create with this name is under way.
    pub fn holds_name(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// How many reservations are held.
    pub fn held(&self) -> usize {
        self.claims.len()
    }

    /// The same look-ups with the containers under way counted in, so that affinities between
    /// containers created at the same moment hold. Dependencies are not: the engine would refuse to
    /// link to a container that does not exist yet.
    pub fn lookup<'a>(&'a self, containers: &'a dyn ContainerLookup) -> HeldLookup<'a> {
        HeldLookup { board: self, containers }
    }

    /// Brings one engine's view up to date. Costs a pass over the claims, which are as many as
    /// creates are under way.
    fn refresh(&mut self, id: &NodeId) {
        let Some(&at) = self.index.get(id) else { return };
        let base = &self.published[at];
        let mut held = self.claims.values().filter(|claim| claim.node == *id).peekable();
        if held.peek().is_none() {
            self.nodes[at] = base.clone();
            return;
        }
        let mut view = NodeSummary::clone(base);
        let (mut ports, mut host_ports) = (Vec::new(), Vec::new());
        for claim in held {
            view.reserved = view.reserved.plus(claim.resources);
            view.containers = view.containers.saturating_add(1);
            ports.extend_from_slice(&claim.ports);
            host_ports.extend_from_slice(&claim.host_ports);
        }
        view.ports = view.ports.with(&ports);
        view.host_ports = view.host_ports.with(&host_ports);
        self.nodes[at] = Arc::new(view);
    }
}

/// Containers that exist and containers under way: [`Board::lookup`].
#[derive(Clone, Copy)]
pub struct HeldLookup<'a> {
    board: &'a Board,
    containers: &'a dyn ContainerLookup,
}

impl std::fmt::Debug for HeldLookup<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldLookup").field("held", &self.board.held()).finish_non_exhaustive()
    }
}

impl ContainerLookup for HeldLookup<'_> {
    fn nodes_with(&self, id_or_name: &str) -> HashSet<NodeId> {
        let mut nodes = self.containers.nodes_with(id_or_name);
        if self.board.holds_name(id_or_name) {
            let held = self.board.claims.values().filter(|claim| claim.name == id_or_name);
            nodes.extend(held.map(|claim| claim.node.clone()));
        }
        nodes
    }

    fn nodes_resolving(&self, reference: &str) -> HashSet<NodeId> {
        self.containers.nodes_resolving(reference)
    }

    fn nodes_matching(&self, predicate: &dyn Fn(&ContainerFacts<'_>) -> bool) -> HashSet<NodeId> {
        let mut nodes = self.containers.nodes_matching(predicate);
        let held = self.board.claims.values().filter(|claim| {
            predicate(&ContainerFacts { id: "", name: &claim.name, labels: &claim.labels })
        });
        nodes.extend(held.map(|claim| claim.node.clone()));
        nodes
    }
}

#[cfg(test)]
#[path = "reservation_tests.rs"]
mod tests;
