//! The scheduler's one lock: engines' summaries, reservations, and the decision taken on both.
//!
//! A reservation is held from the decision until the engine's snapshot shows the container, and
//! the snapshot that shows it takes its place in the same instant: nothing is counted twice, and
//! nothing is missed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use swarm_core::placement::containers::{ContainerFacts, ContainerLookup, Labels};
use swarm_core::placement::decision::{Decision, Refusal};
use swarm_core::placement::filter::FilterSet;
use swarm_core::placement::node::{NodeId, NodeSummary};
use swarm_core::placement::place::place;
use swarm_core::placement::request::Request;
use swarm_core::placement::reservation::{Board, ClaimId};
use swarm_core::placement::strategy::Strategy;
use swarm_docker::ApiError;
use swarm_docker::compact::StrPairs;
use swarm_model::Availability;

use crate::config::PoolConfig;
use crate::engine::EngineKey;
use crate::index::{Index, LookupError};

/// Decides and remembers.
#[derive(Debug)]
pub struct Scheduler {
    filters: FilterSet,
    strategy: Strategy,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    board: Board,
    engines: HashMap<NodeId, EngineKey>,
    nodes: HashMap<EngineKey, (NodeId, Arc<str>)>,
    claims: HashMap<ClaimId, Held>,
    /// Up to which number each engine's writes have been read back.
    read: HashMap<EngineKey, u64>,
    /// Engines that a person keeps from being given containers, by their id.
    availability: HashMap<String, Availability>,
}

#[derive(Debug)]
struct Held {
    engine: EngineKey,
    name: String,
    /// The write whose reading shows the container; `None` while its create is under way.
    made: Option<u64>,
}

/// Where a container goes, with its reservation.
#[derive(Debug)]
pub struct Placed {
    /// The engine.
    pub engine: EngineKey,
    /// Its id.
    pub node: NodeId,
    /// Its name.
    pub name: Arc<str>,
    /// Why it, in words.
    pub reason: String,
    /// How many engines each filter removed.
    pub removed: Vec<(&'static str, usize)>,
    /// Gives the reservation back when dropped.
    pub hold: Hold,
}

/// Why there is no place.
#[derive(Debug)]
pub struct NotPlaced {
    /// For the client.
    pub error: ApiError,
    /// How many engines each filter removed; none where there was no engine, or where the one that
    /// was chosen is gone.
    pub removed: Vec<(&'static str, usize)>,
}

impl From<ApiError> for NotPlaced {
    fn from(error: ApiError) -> Self {
        Self { error, removed: Vec::new() }
    }
}

impl From<Refusal> for NotPlaced {
    fn from(refusal: Refusal) -> Self {
        let removals = refusal.removals.iter();
        let removed = removals.map(|removal| (removal.filter, removal.count)).collect();
        Self { error: ApiError::conflict(refusal.to_string()), removed }
    }
}

/// A held reservation.
#[derive(Debug)]
pub struct Hold {
    scheduler: Arc<Scheduler>,
    claim: ClaimId,
    made: bool,
}

impl Hold {
    /// The container was made: the reservation stays until the engine's write `number` has been
    /// read back, or the engine leaves.
    pub fn until_read(mut self, number: u64) {
        self.made = true;
        let mut table = self.scheduler.table.lock();
        let Some(held) = table.claims.get_mut(&self.claim) else { return };
        held.made = Some(number);
        let engine = held.engine;
        let read = table.read.get(&engine).copied().unwrap_or_default();
        if read >= number || !table.nodes.contains_key(&engine) {
            table.release(self.claim);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.made {
            self.scheduler.table.lock().release(self.claim);
        }
    }
}

impl Table {
    fn release(&mut self, claim: ClaimId) {
        if self.claims.remove(&claim).is_some() {
            self.board.release(claim);
        }
    }

    fn release_made(&mut self, engine: EngineKey, upto: u64) {
        let over =
            |held: &Held| held.engine == engine && held.made.is_some_and(|made| made <= upto);
        let claims: Vec<ClaimId> =
            self.claims.iter().filter(|(_, held)| over(held)).map(|(claim, _)| *claim).collect();
        for claim in claims {
            self.release(claim);
        }
    }
}

impl Scheduler {
    /// A scheduler with the pool's settings.
    pub fn new(config: &PoolConfig) -> Self {
        Self { filters: config.filters.clone(), strategy: config.strategy, table: Mutex::default() }
    }

    /// The strategy's name.
    pub fn strategy(&self) -> String {
        self.strategy.to_string()
    }

    /// How many engines there are to choose from.
    pub fn size(&self) -> usize {
        self.table.lock().board.nodes().len()
    }

    /// The filters' names, in order.
    pub fn filters(&self) -> String {
        let names: Vec<_> = self.filters.as_slice().iter().map(|filter| filter.name()).collect();
        names.join(", ")
    }

    /// An engine's newest summary; `has_container` tells whether it has one of that name.
    pub fn publish(
        &self,
        engine: EngineKey,
        summary: Arc<NodeSummary>,
        has_container: impl Fn(&str) -> bool,
    ) {
        let mut table = self.table.lock();
        let id = summary.id.clone();
        let availability = table.availability.get(id.as_str()).copied().unwrap_or_default();
        let summary = if availability == summary.availability {
            summary
        } else {
            Arc::new(NodeSummary { availability, ..(*summary).clone() })
        };
        let known = (id.clone(), Arc::clone(&summary.name));
        match table.nodes.insert(engine, known) {
            // Another engine answers at the address now, or the first one was just identified.
            Some((old, _)) if old != id => {
                table.engines.remove(&old);
                table.board.remove(&old);
            }
            _ => {}
        }
        table.engines.insert(id, engine);
        let arrived: Vec<ClaimId> = table
            .claims
            .iter()
            .filter(|(_, held)| held.engine == engine && has_container(&held.name))
            .map(|(claim, _)| *claim)
            .collect();
        for claim in arrived {
            table.claims.remove(&claim);
            table.board.settle(claim, Arc::clone(&summary));
        }
        table.board.publish(summary);
    }

    /// The snapshot published last shows all that was written to the engine up to `upto`.
    pub fn read_back(&self, engine: EngineKey, upto: u64) {
        let mut table = self.table.lock();
        let read = table.read.entry(engine).or_default();
        *read = upto.max(*read);
        table.release_made(engine, upto);
    }

    /// The engine left the pool.
    pub fn remove(&self, engine: EngineKey) {
        let mut table = self.table.lock();
        table.read.remove(&engine);
        table.release_made(engine, u64::MAX);
        let Some((id, _)) = table.nodes.remove(&engine) else { return };
        if table.engines.get(&id) == Some(&engine) {
            table.engines.remove(&id);
            table.board.remove(&id);
        }
    }

    /// Whether some node would take it now; the error is the refusal.
    pub fn would_fit(&self, index: &Index, request: &Request) -> Result<(), ApiError> {
        let table = self.table.lock();
        let containers = Containers { index, nodes: &table.nodes };
        let lookup = table.board.lookup(&containers);
        let (nodes, rng) = (table.board.nodes(), &mut rand::rng());
        place(nodes, request, &self.filters, self.strategy, &lookup, rng)
            .map(drop)
            .map_err(|refusal| ApiError::conflict(refusal.to_string()))
    }

    /// Whether an engine, by its id, may be given containers.
    pub fn set_availability(&self, engine: &str, availability: Availability) {
        let mut table = self.table.lock();
        if availability == Availability::Active {
            table.availability.remove(engine);
        } else {
            table.availability.insert(engine.to_owned(), availability);
        }
        let known = table.board.node(&NodeId::new(engine)).cloned();
        if let Some(summary) = known.filter(|node| node.availability != availability) {
            let summary = NodeSummary { availability, ..(*summary).clone() };
            table.board.publish(Arc::new(summary));
        }
    }

    /// Nobody's word about engines is known any more.
    pub fn forget_availability(&self) {
        let words: Vec<String> = self.table.lock().availability.keys().cloned().collect();
        for engine in words {
            self.set_availability(&engine, Availability::Active);
        }
    }

    /// What each engine has now, reservations included.
    pub fn nodes(&self) -> Vec<Arc<NodeSummary>> {
        self.table.lock().board.nodes().to_vec()
    }

    /// Plans over the pool as it is now.
    pub fn planned<T>(&self, plan: impl FnOnce(&FilterSet, Strategy) -> T) -> T {
        plan(&self.filters, self.strategy)
    }

    /// Decides and reserves in one step.
    pub fn place(self: &Arc<Self>, index: &Index, request: &Request) -> Result<Placed, NotPlaced> {
        let mut table = self.table.lock();
        let decision = {
            let containers = Containers { index, nodes: &table.nodes };
            let lookup = table.board.lookup(&containers);
            place(
                table.board.nodes(),
                request,
                &self.filters,
                self.strategy,
                &lookup,
                &mut rand::rng(),
            )?
        };
        let gone = || ApiError::unavailable(format!("node {} left the pool", decision.name));
        let engine = *table.engines.get(&decision.node).ok_or_else(gone)?;
        let claim = table
            .board
            .hold(&decision.node, request)
            .map_err(|error| ApiError::conflict(error.to_string()))?;
        table.claims.insert(claim, Held { engine, name: request.name.clone(), made: None });
        drop(table);
        let hold = Hold { scheduler: Arc::clone(self), claim, made: false };
        let Decision { node, name, reason, removed, .. } = decision;
        Ok(Placed { engine, node, name, reason, removed, hold })
    }
}

/// The index as placement asks it.
struct Containers<'a> {
    index: &'a Index,
    nodes: &'a HashMap<EngineKey, (NodeId, Arc<str>)>,
}

impl Containers<'_> {
    fn node(&self, engine: EngineKey) -> Option<NodeId> {
        self.nodes.get(&engine).map(|(id, _)| id.clone())
    }

    fn engines_named(&self, name: &str) -> Vec<EngineKey> {
        let named = |(_, (id, known)): &(&EngineKey, &(NodeId, Arc<str>))| {
            **known == *name || id.as_str() == name
        };
        self.nodes.iter().filter(named).map(|(key, _)| *key).collect()
    }
}

impl ContainerLookup for Containers<'_> {
    fn nodes_with(&self, id_or_name: &str) -> HashSet<NodeId> {
        let found = self.index.engines_with(id_or_name);
        found.into_iter().filter_map(|engine| self.node(engine)).collect()
    }

    fn nodes_resolving(&self, reference: &str) -> HashSet<NodeId> {
        match self.index.find(reference, |name| self.engines_named(name)) {
            Ok(located) => self.node(located.engine).into_iter().collect(),
            Err(LookupError::Ambiguous { matches, .. }) => {
                matches.iter().flat_map(|id| self.nodes_with(id)).collect()
            }
            Err(LookupError::Missing) => HashSet::new(),
        }
    }

    fn nodes_matching(&self, predicate: &dyn Fn(&ContainerFacts<'_>) -> bool) -> HashSet<NodeId> {
        let mut engines = HashSet::new();
        self.index.for_each(|engine, container| {
            if engines.contains(&engine) {
                return;
            }
            let labels = LabelView(container.entry.labels());
            let matches = container.names().any(|name| {
                predicate(&ContainerFacts { id: container.id(), name, labels: &labels })
            });
            if matches {
                engines.insert(engine);
            }
        });
        engines.into_iter().filter_map(|engine| self.node(engine)).collect()
    }
}

struct LabelView<'a>(&'a StrPairs);

impl Labels for LabelView<'_> {
    fn label(&self, key: &str) -> Option<&str> {
        self.0.get(key)
    }
}
