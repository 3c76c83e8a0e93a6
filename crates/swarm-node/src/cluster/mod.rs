//! The cluster endpoint: all nodes of a swarm as one huge engine, beside its services. It is a pool (as
//! `swarm manage` has) whose engines are reached through their agents' sessions, by the manager that
//! leads; every other manager sends requests on to it.
//!
//! Reading order: [`nodes`] (which engines there are), [`follow`] (who says so), [`way`] (how they, and
//! the leader, are reached), [`forward`] (whose request it is).
//!
//! Invariants: only the manager that leads asks an engine; a request goes one step, to the leader; no
//! engine is known by an address of its own.

mod follow;
mod forward;
mod nodes;
mod way;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use swarm_backend::{Backend, Forward};
use swarm_core::placement::filter::FilterSet;
use swarm_core::placement::strategy::Strategy;
use swarm_engine::{ClientOptions, Raw};
use swarm_kv::Layout;
use swarm_memory::Memory;
use swarm_pool::{Build, Election, KeySource, Pool, PoolConfig, RescheduleConfig, StoreConfig};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::node::Node;
use follow::Sight;
use forward::{Forwarder, From};
use nodes::SwarmNodes;
use way::ToNodes;

/// How many clients that another manager passed on may wait to be taken.
const WAITING: usize = 256;
/// As `swarm manage` has it.
const REFRESH: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(1));
/// As `swarm manage` has it.
const OVERCOMMIT: f64 = 0.05;
/// As `swarm manage` has it.
const FAILURES: u32 = 3;

/// Hands clients over that another manager passed on.
#[derive(Debug, Clone)]
pub struct Clients(mpsc::Sender<Box<dyn Raw>>);

impl Clients {
    /// And where they come out.
    pub fn new() -> (Self, mpsc::Receiver<Box<dyn Raw>>) {
        let (hand, arriving) = mpsc::channel(WAITING);
        (Self(hand), arriving)
    }

    /// Returns at once; where there is no room, the client is let go.
    pub(crate) fn hand(&self, client: impl Raw + 'static) {
        if self.0.try_send(Box::new(client)).is_err() {
            tracing::warn!("no room for another client of the cluster endpoint");
        }
    }
}

/// The cluster endpoint of a node. It is there on every node, and says on those that are no managers
/// what to do.
#[derive(Debug)]
pub struct Cluster {
    pool: Arc<Pool>,
    forwarder: Forwarder,
    sight: watch::Receiver<Sight>,
}

impl Cluster {
    /// Begins; all of it ends with `stop`.
    pub fn start(node: &Arc<Node>, build: Build, stop: &CancellationToken) -> Self {
        let (sight, seen) = watch::channel(Sight::default());
        let config = PoolConfig {
            strategy: Strategy::Spread,
            filters: FilterSet::default(),
            overcommit: OVERCOMMIT,
            create_retries: 0,
            refresh: REFRESH,
            failure_retries: FAILURES,
            refresh_on_node_filter: false,
            refresh_on_name: None,
            reschedule: RescheduleConfig::default(),
            election: Election::alone(),
            engine: ClientOptions {
                tunnels: Some(Arc::new(ToNodes(Arc::clone(node)))),
                ..ClientOptions::default()
            },
            build,
            swarm: Some(Arc::clone(node) as _),
        };
        // Nothing is kept in it: what is wanted of containers is the swarm's own.
        let store = StoreConfig {
            store: Memory::new(),
            layout: Layout::new("", None),
            key: KeySource::None,
        };
        let discovery = Arc::new(SwarmNodes(seen.clone()));
        let pool = Pool::start(config, discovery, store, stop.clone());
        tokio::spawn(follow::run(Arc::clone(node), Arc::clone(&pool), sight, stop.clone()));
        let forwarder = Forwarder::new(Arc::clone(node), Arc::clone(&pool), seen.clone());
        Self { pool, forwarder, sight: seen }
    }

    /// Has its numbers published: those of all nodes' engines while this manager leads, since only then
    /// it knows them.
    pub fn register(&self, registry: &mut Registry) {
        let sight = self.sight.clone();
        self.pool.register_nodes(registry, move || sight.borrow().since.is_some());
    }

    /// What answers.
    pub fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.pool) as _
    }

    /// Asked first, for every request of a client of this node's.
    pub fn of_clients(&self) -> Arc<dyn Forward> {
        Arc::new(self.forwarder.of(From::Client))
    }

    /// Asked first, for every request that another manager passed on.
    pub fn of_managers(&self) -> Arc<dyn Forward> {
        Arc::new(self.forwarder.of(From::Manager))
    }
}
