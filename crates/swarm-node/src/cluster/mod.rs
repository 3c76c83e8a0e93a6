//! The cluster endpoint: all nodes of a swarm as one huge engine, beside its services. It is a pool (as
//! `swarm manage` has) whose engines are reached through their agents' sessions, by the manager that
//! leads; every other manager sends requests on to it.
//!
//! Reading order: [`nodes`] (which engines there are), [`follow`] (who says so), [`way`] (how they, and
//! the leader, are reached), [`forward`] (whose request it is), [`kept`] (where it is kept what is
//! wanted of containers), [`appoint`] (who keeps it), [`onlooker`] and [`watching`] (the same and the
//! swarm's own, for those who look on), [`afar`] (how managers that do not lead know of the engines).
//!
//! Invariants: only the manager that leads asks an engine; a request goes one step, to the leader; no
//! engine is known by an address of its own.

mod afar;
mod appoint;
mod follow;
mod forward;
mod kept;
mod nodes;
mod onlooker;
mod own_info;
mod watching;
mod way;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use swarm_backend::{Backend, Forward, Overview};
use swarm_core::placement::filter::FilterSet;
use swarm_core::placement::strategy::Strategy;
use swarm_engine::{ClientOptions, Raw};
use swarm_kv::KeyValue;
use swarm_pool::{
    Build, Election, ElectionConfig, KeySource, Pool, PoolConfig, RescheduleConfig, StoreConfig,
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::node::Node;
use follow::Sight;
use forward::{Forwarder, From};
use kept::SwarmStore;
use nodes::SwarmNodes;
use onlooker::Onlooker;
use way::ToNodes;

/// How many clients that another manager passed on may wait to be taken.
const WAITING: usize = 256;
/// As `swarm manage` has it.
const REFRESH: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(1));
/// As `swarm manage` has it.
const OVERCOMMIT: f64 = 0.05;
/// As `swarm manage` has it.
const FAILURES: u32 = 3;
/// How often it is looked whether this node is a manager.
const LOOK: Duration = Duration::from_millis(500);
/// How long the lock of a leader that died outlives it: as short as a loaded machine renews it in
/// without a gap, which is three times in it.
const LOCK: Duration = Duration::from_secs(4);

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
    node: Arc<Node>,
    pool: Arc<Pool>,
    forwarder: Forwarder,
    sight: watch::Receiver<Sight>,
    election: Election,
    version: &'static str,
}

impl Cluster {
    /// Begins; all of it ends with `stop`.
    pub fn start(node: &Arc<Node>, build: Build, stop: &CancellationToken) -> Self {
        let (sight, seen) = watch::channel(Sight::default());
        let version = build.version;
        let (store, layout) = (Arc::new(SwarmStore(Arc::clone(node))), kept::layout());
        let store = store as Arc<dyn KeyValue>;
        // Another one each time: what an earlier run of this node left behind is nobody's.
        let name = format!("manager {:08x}", rand::random::<u32>());
        let lock = ElectionConfig { replication: false, name, ttl: LOCK };
        let (election, appointer) = Election::appointed(Arc::clone(&store), &layout, &lock);
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
            election: election.clone(),
            engine: ClientOptions {
                tunnels: Some(Arc::new(ToNodes(Arc::clone(node)))),
                ..ClientOptions::default()
            },
            build,
            swarm: Some(Arc::clone(node) as _),
        };
        let calling = appoint::run(
            Arc::clone(node),
            Arc::clone(&store),
            layout.clone(),
            appointer,
            stop.clone(),
        );
        tokio::spawn(calling);
        // The store seals all that it has.
        let store = StoreConfig { store, layout, key: KeySource::Store };
        let discovery = Arc::new(SwarmNodes(seen.clone()));
        let pool = Pool::start(config, discovery, store, stop.clone());
        tokio::spawn(follow::run(Arc::clone(node), Arc::clone(&pool), sight, stop.clone()));
        let forwarder = Forwarder::new(Arc::clone(node), Arc::clone(&pool), seen.clone());
        let node = Arc::clone(node);
        Self { node, pool, forwarder, sight: seen, election, version }
    }

    /// Has its numbers published: those of all nodes' engines while this manager leads, since only then
    /// it knows them.
    pub fn register(&self, registry: &mut Registry) {
        let sight = self.sight.clone();
        self.pool.register_nodes(registry, move || sight.borrow().since.is_some());
    }

    /// What is shown.
    pub fn overview(&self) -> Arc<dyn Overview> {
        let (node, pool) = (Arc::clone(&self.node), Arc::clone(&self.pool));
        Arc::new(Onlooker::new(node, pool, self.forwarder.clone(), self.version))
    }

    /// From now on this manager moves no containers, and the next one may at once; returns within
    /// three seconds.
    pub async fn resign(&self) {
        self.election.resign().await;
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
