//! The pool as it would be after the moves so far.
//!
//! Invariant: the summaries count every container where it would be; the filters are asked about the
//! other containers only, never about the one that is to move.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rand::RngCore;

use super::plan::{Move, Pool, Stay};
use super::resident::{Movable, Resident};
use crate::placement::containers::{ContainerFacts, ContainerLookup};
use crate::placement::decision::Decision;
use crate::placement::node::{NodeId, NodeSummary};
use crate::placement::place;
use crate::placement::request::LABEL_ID;
use crate::placement::strategy::Strategy;

/// The pool, changed.
pub(super) struct Board<'p> {
    pub pool: &'p Pool<'p>,
    pub nodes: Vec<Arc<NodeSummary>>,
    /// Where each resident would be: places in `nodes`; `None` for one on an engine that is not
    /// there.
    pub at: Vec<Option<usize>>,
    /// Who needs a resident: the name of one that does.
    needed_by: HashMap<usize, String>,
}

impl<'p> Board<'p> {
    pub(super) fn new(pool: &'p Pool<'p>) -> Self {
        let index: HashMap<&NodeId, usize> =
            pool.nodes.iter().enumerate().map(|(at, node)| (&node.id, at)).collect();
        let at = pool.residents.iter().map(|one| index.get(&one.node).copied()).collect();
        Self { pool, nodes: pool.nodes.to_vec(), at, needed_by: needed_by(pool.residents) }
    }

    /// What it takes to move a resident, or why it stays.
    pub(super) fn movable(&self, resident: usize) -> Result<&'p Movable, String> {
        if let Some(other) = self.needed_by.get(&resident) {
            return Err(format!("{other} needs it"));
        }
        self.pool.residents[resident].movable.as_ref().map_err(Clone::clone)
    }

    /// Residents that would be on this node, in order.
    pub(super) fn on(&self, node: usize) -> Vec<usize> {
        (0..self.at.len()).filter(|resident| self.at[*resident] == Some(node)).collect()
    }

    /// Where placement would put a resident if it were to be made now, among the nodes that `among`
    /// allows; its own node counts without it.
    pub(super) fn choose(
        &mut self,
        resident: usize,
        movable: &Movable,
        strategy: Strategy,
        among: impl Fn(usize, &NodeSummary) -> bool,
    ) -> Result<usize, String> {
        let own = self.at[resident];
        let kept = own.map(|own| {
            let lighter = Arc::new(self.without(own, resident, movable));
            (own, std::mem::replace(&mut self.nodes[own], lighter))
        });
        let indices: Vec<usize> =
            (0..self.nodes.len()).filter(|index| among(*index, &self.nodes[*index])).collect();
        let nodes: Vec<_> = indices.iter().map(|index| Arc::clone(&self.nodes[*index])).collect();
        let others = Others { board: self, except: resident };
        let request = &movable.request;
        let placed = place(&nodes, request, self.pool.filters, strategy, &others, &mut First);
        if let Some((own, kept)) = kept {
            self.nodes[own] = kept;
        }
        let Decision { index, .. } = placed.map_err(|refusal| refusal.to_string())?;
        Ok(indices[index])
    }

    /// Moves a resident.
    pub(super) fn apply(&mut self, resident: usize, movable: &Movable, to: usize) {
        if let Some(from) = self.at[resident] {
            self.nodes[from] = Arc::new(self.without(from, resident, movable));
        }
        let one = &self.pool.residents[resident];
        let mut node = NodeSummary::clone(&self.nodes[to]);
        node.reserved = node.reserved.plus(movable.request.resources);
        node.containers = node.containers.saturating_add(1);
        let mut ports = Vec::with_capacity(movable.request.ports.len());
        for wish in &movable.request.ports {
            ports.extend(wish.pick(&node.ports, &ports));
        }
        node.ports = node.ports.with(&ports);
        node.host_ports = node.host_ports.with(&one.host_ports);
        self.nodes[to] = Arc::new(node);
        self.at[resident] = Some(to);
    }

    /// A node's summary without a resident of it. Of ports that another one on the node has too
    /// (a stopped one) none becomes free.
    fn without(&self, node: usize, resident: usize, movable: &Movable) -> NodeSummary {
        let one = &self.pool.residents[resident];
        let mut summary = NodeSummary::clone(&self.nodes[node]);
        let gone = movable.request.resources;
        summary.reserved.nano_cpus -= gone.nano_cpus;
        summary.reserved.memory -= gone.memory;
        summary.containers = summary.containers.saturating_sub(1);
        if !(one.ports.is_empty() && one.host_ports.is_empty()) {
            let beside: Vec<&Resident> = self
                .on(node)
                .into_iter()
                .filter(|other| *other != resident)
                .map(|other| &self.pool.residents[other])
                .collect();
            let free =
                |port| one.ports.contains(port) && !beside.iter().any(|b| b.ports.contains(port));
            let ports = summary.ports.as_slice().iter().filter(|port| !free(port));
            summary.ports = ports.copied().collect();
            let free = |port| {
                one.host_ports.contains(port) && !beside.iter().any(|b| b.host_ports.contains(port))
            };
            let ports = summary.host_ports.as_slice().iter().filter(|port| !free(port));
            summary.host_ports = ports.copied().collect();
        }
        summary
    }

    /// A move in words.
    pub(super) fn describe(
        &self,
        resident: usize,
        movable: &Movable,
        to: usize,
        why: String,
    ) -> Move {
        let one = &self.pool.residents[resident];
        Move {
            intent: movable.intent.clone(),
            container: one.id.clone(),
            name: one.name.clone(),
            from: self.at[resident]
                .map_or_else(|| one.node.clone(), |at| self.nodes[at].id.clone()),
            to: self.nodes[to].id.clone(),
            start_first: movable.start_first,
            reason: why,
        }
    }

    /// One that stays, in words.
    pub(super) fn stays(&self, resident: usize, reason: String) -> Stay {
        let one = &self.pool.residents[resident];
        let (name, container, node) = (one.name.clone(), one.id.clone(), one.node.clone());
        Stay { name, container, node, reason }
    }
}

fn needed_by(residents: &[Resident]) -> HashMap<usize, String> {
    let mut names: HashMap<&str, usize> = HashMap::new();
    for (index, one) in residents.iter().enumerate() {
        names.insert(&one.id, index);
        names.insert(&one.name, index);
        if let Some(id) = one.labels.get(LABEL_ID) {
            names.insert(id, index);
        }
    }
    let needs = residents.iter().flat_map(|one| one.needs.iter().map(move |need| (need, one)));
    let mut needed = HashMap::new();
    for (need, one) in needs {
        let short =
            || residents.iter().position(|other| need.len() >= 12 && other.id.starts_with(need));
        if let Some(index) = names.get(need.as_str()).copied().or_else(short) {
            needed.entry(index).or_insert_with(|| one.name.clone());
        }
    }
    needed
}

/// The containers but one.
struct Others<'b, 'p> {
    board: &'b Board<'p>,
    except: usize,
}

impl Others<'_, '_> {
    fn nodes(&self, keep: impl Fn(&Resident) -> bool) -> HashSet<NodeId> {
        let residents = self.board.pool.residents.iter().enumerate();
        residents
            .filter(|(index, one)| *index != self.except && keep(one))
            .filter_map(|(index, _)| Some(self.board.nodes[self.board.at[index]?].id.clone()))
            .collect()
    }
}

impl ContainerLookup for Others<'_, '_> {
    fn nodes_with(&self, id_or_name: &str) -> HashSet<NodeId> {
        self.nodes(|one| one.id == id_or_name || one.name == id_or_name)
    }

    fn nodes_resolving(&self, reference: &str) -> HashSet<NodeId> {
        let labelled = |one: &Resident| one.labels.get(LABEL_ID).is_some_and(|id| id == reference);
        let named = self.nodes(|one| one.id == reference || one.name == reference || labelled(one));
        if !named.is_empty() || reference.is_empty() {
            return named;
        }
        self.nodes(|one| one.id.starts_with(reference))
    }

    fn nodes_matching(&self, predicate: &dyn Fn(&ContainerFacts<'_>) -> bool) -> HashSet<NodeId> {
        self.nodes(|one| {
            predicate(&ContainerFacts { id: &one.id, name: &one.name, labels: &one.labels })
        })
    }
}

/// Chooses the first of equals, so that a plan is the same each time it is asked for.
struct First;

impl RngCore for First {
    fn next_u32(&mut self) -> u32 {
        u32::MAX
    }

    fn next_u64(&mut self) -> u64 {
        u64::MAX
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(u8::MAX);
    }
}
