//! This node as a manager: its share of the store, the server for other nodes, and what a leader does.
//!
//! Invariant: nothing is served to other nodes before the store is open, and the store is closed after
//! all that writes to it.

mod present;
mod seat;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use swarm_ca::tls::Removed;
use swarm_kv::StoreError;
use swarm_manager::authority::{Founded, Gate, keep_removed, passages, routes};
use swarm_manager::clock::Clock;
use swarm_manager::dispatcher::logs::relay::{LeaderCalls, Relay};
use swarm_manager::dispatcher::service::Service;
use swarm_manager::dispatcher::{Dispatcher, Identify};
use swarm_manager::leader::meters::Meters;
use swarm_manager::replica::{Batch, Replica};
use swarm_manager::transport::Managers;
use swarm_manager::ways::Ways;
use swarm_manager::{Control, leader};
use swarm_model::Id;
use swarm_model::node::Role;
use swarm_raft::{Embedded, EmbeddedOptions, Swarm};
use swarm_rpc::v1::dispatcher_server::DispatcherServer;
use swarm_rpc::v1::leader_server::LeaderServer;
use swarm_rpc::v1::ways_server::WaysServer;
use swarm_rpc::{Connections, Server, Services};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::locked::{keep_locked, store_lock};
use crate::pace::Pace;
use crate::snapshots;

use present::present;
pub use seat::{Beginning, ManagerError, Seat};

/// The store's folder in the node's.
pub(crate) const STORE: &str = "raft";
/// How long a swarm's first manager may take to lead.
const FIRST: Duration = Duration::from_secs(10);
/// How long tasks may take to end.
const FAREWELL: Duration = Duration::from_secs(3);

/// A running manager.
#[derive(Debug)]
pub struct Manager {
    folder: PathBuf,
    store: Arc<Embedded>,
    replica: Arc<Replica>,
    control: Arc<Control>,
    dispatcher: Arc<Dispatcher>,
    others: Arc<Managers>,
    meters: Meters,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Manager {
    /// Opens the store, and serves other nodes. It may not know the swarm yet when this returns: the
    /// others may have to be found first.
    pub async fn start(seat: &Seat, beginning: Beginning) -> Result<Arc<Self>, ManagerError> {
        let Beginning { join, founded, alone } = beginning;
        let listen = |error| ManagerError::Listen { address: seat.listen, error };
        let listener = TcpListener::bind(seat.listen).await.map_err(listen)?;
        let removed = Arc::new(Removed::default());
        let live = seat.own.live();
        let managers = Managers::new(live, &seat.cluster_id, Arc::clone(&removed) as _)?;
        let transport = Arc::clone(&managers) as _;
        let store = Embedded::open(EmbeddedOptions {
            advertise: Some(seat.advertise.to_string()),
            swarm: Some(Swarm { transport, join, founds: founded.is_some() }),
            alone,
            lock: store_lock(seat.own.lock_key().as_ref())?,
            timing: seat.pace.timing(),
            ..EmbeddedOptions::new(seat.folder.join(STORE))
        });
        let store = store.await?;
        let replica = Replica::new(Arc::clone(&store) as _);
        let clock = Clock::system();
        let callers = Identify::by_certificate(Arc::clone(&replica));
        let dispatcher = Dispatcher::new(Arc::clone(&replica), callers, clock.clone());
        dispatcher.drive(Arc::clone(&seat.drivers));
        let connections = Connections::new();
        let gate = Gate {
            live: Arc::clone(live),
            cluster_id: seat.cluster_id.clone(),
            removed: Arc::clone(&removed),
            replica: Arc::clone(&replica),
            store: Arc::clone(&store),
        };
        let calls = DispatcherServer::new(Service(Arc::clone(&dispatcher)));
        let leader_calls = LeaderServer::new(LeaderCalls(Arc::clone(&dispatcher)));
        let ways = Ways::new(Arc::clone(&replica), Arc::clone(&managers), seat.node_id.clone());
        let services = Services::new().with(calls).with(leader_calls).with(WaysServer::new(ways));
        let mut routes = routes(&gate, services)?;
        let clients = seat.clients.clone();
        routes.extend(passages(&gate, &dispatcher, move |stream| clients.hand(stream))?);
        let relay = Relay::new(Arc::clone(&dispatcher), Arc::clone(&managers));
        let control = Control::new(Arc::clone(&replica), relay);
        control.identify(Arc::clone(live));
        let manager = Arc::new(Self {
            folder: seat.folder.join(STORE),
            store,
            replica: Arc::clone(&replica),
            control,
            dispatcher: Arc::clone(&dispatcher),
            others: managers,
            meters: Meters::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let (tasks, stop) = (&manager.tasks, || manager.stop.clone());
        tasks.spawn(Arc::clone(&replica).run(stop()));
        tasks.spawn(keep_removed(Arc::clone(&replica), removed, Arc::clone(&connections), stop()));
        tasks.spawn(Server::new(routes, connections).run(listener, stop()));
        let first = match founded {
            Some(founded) => manager.write_first(*founded, seat).await,
            None if alone => manager.give_up_others(&seat.node_id, &clock).await,
            None => Ok(()),
        };
        if let Err(error) = first {
            manager.stop().await;
            return Err(error.into());
        }
        tasks.spawn(Arc::clone(&manager.control).follow_rotations(stop()));
        tasks.spawn(Arc::clone(&manager.control).follow_events(stop()));
        let meters = manager.meters.clone();
        tasks.spawn(leader::run(Arc::clone(&replica), dispatcher, clock.clone(), meters, stop()));
        let snapshots = snapshots::follow(Arc::clone(&manager.store), Arc::clone(&replica));
        let until = stop();
        tasks.spawn(async move { until.run_until_cancelled(snapshots).await });
        let locking = keep_locked(seat.own.clone(), Arc::clone(&manager.store), replica);
        let until = stop();
        tasks.spawn(async move { until.run_until_cancelled(locking).await });
        let presenting = present(Arc::clone(&manager), seat.clone(), clock);
        let stop = stop();
        tasks.spawn(async move { stop.run_until_cancelled(presenting).await });
        Ok(manager)
    }

    async fn leads(&self) -> Result<(), StoreError> {
        let mut leadership = self.store.leadership();
        let leads = async { leadership.wait_for(|now| now.leads).await.is_ok() };
        if tokio::time::timeout(FIRST, leads).await == Ok(true) {
            return self.replica.fresh().await;
        }
        Err(StoreError::Unreachable {
            store: "the swarm's store".to_owned(),
            reason: format!("this manager, alone, does not lead after {FIRST:?}"),
        })
    }

    /// After the quorum was lost for good: those who were managers come back as workers, if they do.
    async fn give_up_others(&self, own: &Id, clock: &Clock) -> Result<(), StoreError> {
        self.leads().await?;
        let mut batch = Batch::default();
        let lost = self.replica.read(|tables| {
            let managers = tables.nodes.values().filter(|node| {
                node.id != *own && (node.member != 0 || node.spec.role == Role::Manager)
            });
            let demoted = managers.map(|node| {
                let mut node = swarm_model::Node::clone(node);
                (node.member, node.manager_status, node.spec.role) = (0, None, Role::Worker);
                node.updated_at = clock.now(tables);
                node
            });
            demoted.collect::<Vec<_>>()
        });
        for node in &lost {
            batch.put(node)?;
        }
        self.replica.commit(batch).await
    }

    /// Writes what a swarm begins with.
    async fn write_first(&self, mut founded: Founded, seat: &Seat) -> Result<(), StoreError> {
        self.leads().await?;
        founded.node.member = self.store.id();
        founded.node.manager_status = Some(seat.manager_status());
        let mut batch = Batch::default();
        batch.put(&founded.cluster)?;
        batch.put(&founded.node)?;
        self.replica.commit(batch).await
    }

    /// What answers clients; `None` as long as it does not know the swarm.
    pub fn control(&self) -> Option<&Arc<Control>> {
        self.replica.read(|tables| tables.cluster.is_some()).then_some(&self.control)
    }

    /// Whether the swarm knows that the node `id` is this manager.
    pub fn is_known(&self, id: &str) -> bool {
        let own = self.store.id();
        self.replica.read(|tables| tables.nodes.get(id).is_some_and(|node| node.member == own))
    }

    /// The sessions of nodes, while it leads.
    pub fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    /// The way to the other managers.
    pub fn others(&self) -> &Managers {
        &self.others
    }

    /// Waits until it is stopped.
    pub async fn ended(&self) {
        self.stop.cancelled().await;
    }

    /// Whether it was stopped, or is being.
    pub fn is_ended(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// The swarm's objects.
    pub fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// How soon the swarm wants managers to notice that their leader is gone.
    pub fn pace(&self) -> Option<Pace> {
        let raft = |cluster: &Arc<swarm_model::Cluster>| Pace::of(&cluster.spec.raft);
        self.replica.read(|tables| tables.cluster.as_ref().map(raft))
    }

    /// The store.
    pub fn store(&self) -> &Arc<Embedded> {
        &self.store
    }

    /// How many bytes the store takes on this manager's disk.
    pub fn store_size(&self) -> u64 {
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
    }

    /// What its leaderships came to.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Whether the others took it out of their midst.
    pub fn is_removed(&self) -> bool {
        self.store.is_removed()
    }

    /// Ends in order: nothing more is begun, leadership goes to another, the store is closed.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        // Whoever is in a call is told that it is over.
        let _ = tokio::time::timeout(FAREWELL, self.tasks.wait()).await;
        self.store.shutdown().await;
    }

    /// Deletes the store of a node that is no manager any more.
    pub async fn forget(folder: &Path) -> Result<(), ManagerError> {
        let path = folder.join(STORE);
        match tokio::fs::remove_dir_all(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ManagerError::Folder { path: path.display().to_string(), error })
            }
            _ => Ok(()),
        }
    }
}
