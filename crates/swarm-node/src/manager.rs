//! This node as a manager: its share of the store, the server for other nodes, and what a leader does.
//!
//! Invariant: nothing is served to other nodes before the store is open, and the store is closed after
//! all that writes to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use swarm_ca::tls::Removed;
use swarm_kv::StoreError;
use swarm_manager::authority::{Founded, Gate, keep_removed, passages, routes};
use swarm_manager::clock::Clock;
use swarm_manager::dispatcher::drivers::SecretDrivers;
use swarm_manager::dispatcher::logs::relay::{LeaderCalls, Relay};
use swarm_manager::dispatcher::service::Service;
use swarm_manager::dispatcher::{Dispatcher, Identify};
use swarm_manager::leader::meters::Meters;
use swarm_manager::replica::{Batch, Replica};
use swarm_manager::transport::Managers;
use swarm_manager::ways::Ways;
use swarm_manager::{Control, leader};
use swarm_model::Id;
use swarm_model::node::{ManagerStatus, Role};
use swarm_raft::{Embedded, EmbeddedOptions, Swarm};
use swarm_rpc::v1::dispatcher_server::DispatcherServer;
use swarm_rpc::v1::leader_server::LeaderServer;
use swarm_rpc::v1::ways_server::WaysServer;
use swarm_rpc::{Connections, Server, Services};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::Clients;
use crate::identity::Own;
use crate::locked::{keep_locked, store_lock};
use crate::pace::Pace;
use crate::snapshots;

/// The store's folder in the node's.
pub(crate) const STORE: &str = "raft";
/// How long a swarm's first manager may take to lead.
const FIRST: Duration = Duration::from_secs(10);
/// How long tasks may take to end.
const FAREWELL: Duration = Duration::from_secs(3);
/// A pause after a write that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What a manager is made of.
#[derive(Debug, Clone)]
pub struct Seat {
    /// The node's folder.
    pub folder: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where others reach it.
    pub advertise: SocketAddr,
    /// Its identity, the roots, and under what its keys are on disk.
    pub own: Own,
    /// Its swarm.
    pub cluster_id: String,
    /// Itself.
    pub node_id: Id,
    /// Where clients go that another manager passes on.
    pub clients: Clients,
    /// How soon it notices that its leader is gone.
    pub pace: Pace,
    /// Who has the values of secrets that the swarm has not.
    pub drivers: Arc<dyn SecretDrivers>,
}

impl Seat {
    /// What the node's record says of it; who leads and answers is asked of the store.
    fn manager_status(&self) -> ManagerStatus {
        ManagerStatus { addr: self.advertise.to_string(), ..ManagerStatus::default() }
    }
}

/// How the store begins.
#[derive(Debug, Default)]
pub struct Beginning {
    /// Managers to join, where the store is empty.
    pub join: Vec<String>,
    /// On the swarm's first manager, what is in it.
    pub founded: Option<Box<Founded>>,
    /// The swarm lost its quorum for good: it goes on alone with what it has.
    pub alone: bool,
}

impl Beginning {
    /// With what there is, or by joining these managers.
    pub fn join(join: Vec<String>) -> Self {
        Self { join, ..Self::default() }
    }
}

/// Why there is no manager.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// The port cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The unlock key.
    #[error(transparent)]
    Lock(#[from] swarm_ca::unlock::UnlockError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] swarm_ca::tls::TlsError),
    /// The folder.
    #[error("{path}: {error}")]
    Folder {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
}

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

/// Keeps this node's record saying that it holds the store, and where it is reached.
async fn present(manager: Arc<Manager>, seat: Seat, clock: Clock) {
    let feed = manager.replica.feed();
    loop {
        match present_once(&manager, &seat, &clock).await {
            Ok(()) => loop {
                let touched = feed.changed().await;
                if touched.whole || touched.nodes.contains(&seat.node_id) {
                    break;
                }
            },
            Err(error) => {
                tracing::debug!(%error, "this manager's own record is written again soon");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Takes out of the store what this manager was before it lost what it had: nobody else is to be it.
async fn take_out(manager: &Manager, was: u64) -> Result<(), StoreError> {
    let members = manager.store.members().await;
    if manager.is_removed() || members.iter().all(|member| member.id != was) {
        return Ok(());
    }
    manager.store.remove_member(was).await
}

async fn present_once(manager: &Manager, seat: &Seat, clock: &Clock) -> Result<(), StoreError> {
    let (own, status) = (manager.store.id(), seat.manager_status());
    let was =
        manager.replica.read(|tables| tables.nodes.get(&seat.node_id).map(|node| node.member));
    if let Some(was) = was.filter(|was| *was != 0 && *was != own) {
        take_out(manager, was).await?;
    }
    let changed = manager.replica.read(|tables| {
        let node = tables.nodes.get(&seat.node_id)?;
        let is_said = node.member == own
            && node.manager_status.as_ref().is_some_and(|known| known.addr == status.addr);
        if is_said || node.spec.role != Role::Manager || manager.is_removed() {
            return None;
        }
        let mut node = swarm_model::Node::clone(node);
        node.member = own;
        node.manager_status = Some(status);
        node.updated_at = clock.now(tables);
        Some(node)
    });
    let Some(node) = changed else { return Ok(()) };
    let mut batch = Batch::default();
    batch.put(&node)?;
    manager.replica.commit(batch).await
}
