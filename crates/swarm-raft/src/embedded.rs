//! The embedded store: a manager's share of the replicated state machine, opened and closed as one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use async_trait::async_trait;
use openraft::{Config, Raft, RaftMetrics, SnapshotPolicy};
use parking_lot::RwLock;
use rustls::ServerConfig;
use swarm_kv::{Expect, Guard, Item, KeyValue, Lease, Result, Revision, StoreError, Watch, Write};
use swarm_store::{LARGEST_VALUE, Leadership, Transaction, When};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::anew;
use crate::core::Core;
use crate::duties;
use crate::kinds::{Kinds, Peer};
use crate::loading::{self, Loaded};
use crate::members::{self, Member, Tokens};
use crate::net::{self, Dialer, Network, Peers, Reply, TAKEN};
use crate::options::EmbeddedOptions;
use crate::origin::{self, Entry, Origin};
use crate::renewals::Renewals;
use crate::state::Keeper;
use crate::store::Handle;
use crate::transport::Swarm;
use crate::trust::{self, Role};
use crate::unusable::words;

/// How long tasks may take to end.
const FAREWELL: Duration = Duration::from_millis(300);

/// A manager's embedded store.
#[derive(Debug)]
pub struct Embedded {
    pub(crate) core: Arc<Core>,
}

impl Embedded {
    /// Opens the store, and founds or joins a pool where its folder is empty. It may not be able to
    /// answer yet when this returns: the others may have to be found first.
    pub async fn open(options: EmbeddedOptions) -> Result<Arc<Self>> {
        let EmbeddedOptions {
            data_dir,
            advertise,
            listen,
            join,
            swarm,
            alone,
            lock,
            deadline,
            nodes,
            timing,
        } = options;
        let entry = origin::entry(join, swarm, advertise.as_deref(), listen.is_some())?;
        let advertise = match (&listen, advertise) {
            (_, Some(advertise)) => advertise,
            (None, None) => String::new(),
            (Some(listener), None) => advertised(listener)?,
        };
        let loaded = loading::load(data_dir, lock, &entry, &advertise).await?;
        let Loaded { disk, mut origin, state, mut journal } = loaded;
        let refused = |reason: String| StoreError::Refused { store: disk.shown(), reason };
        let in_words = |error: std::io::Error| refused(error.to_string());
        state.sweep().await.map_err(in_words)?;
        if alone {
            let going = anew::go_alone(&disk, &state, &mut journal, &mut origin, &advertise);
            going.await.map_err(in_words)?;
            tracing::warn!("this manager goes on alone; the other managers are given up");
        }
        let (dialer, own) =
            way(&entry, &origin).map_err(|error| refused(format!("no certificate: {error}")))?;
        let dialer = Arc::new(dialer);
        let peers = Arc::new(Peers::new(Arc::clone(&dialer)));
        peers.learn(BTreeMap::from_iter(origin.peers.clone()));
        let network = Network { peers: Arc::clone(&peers) };
        let config =
            Arc::new(config(timing).map_err(|error| StoreError::Option {
                option: "timing".to_owned(),
                reason: error,
            })?);
        let keeper = Keeper(Arc::clone(&state));
        let raft = Raft::new(origin.id, config, network, journal, keeper).await;
        let raft = raft.map_err(|error| refused(words(&error.to_string())))?;
        let name = if advertise.is_empty() {
            format!("embedded {}", disk.shown())
        } else {
            format!("embedded at {advertise}")
        };
        let core = Arc::new(Core {
            id: origin.id,
            name,
            advertise,
            listens: listen.is_some() || matches!(entry, Entry::Swarm(_)),
            deadline,
            timing,
            disk,
            state,
            raft,
            peers,
            hints: entry.hints(),
            authority: origin.authority,
            removed: AtomicBool::new(false),
            leadership: watch::Sender::new(Leadership::default()),
            places: Arc::new(Semaphore::new(TAKEN)),
            heard: AtomicU64::new(0),
            fed: AtomicU64::new(0),
            waiting: Arc::default(),
            health: watch::Sender::new(None),
            nearing: parking_lot::Mutex::default(),
            changing: Mutex::new(()),
            renewals: Renewals::default(),
            nodes: vec![nodes.nodes().to_owned(), nodes.left()],
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let embedded = Arc::new(Self { core: Arc::clone(&core) });
        let alone = embedded.begin(origin.founded).await?;
        if let (Some(listener), Some(own)) = (listen, own) {
            let tls = Arc::new(RwLock::new(own));
            let stop = core.stop.clone();
            let serving = net::serve(Arc::clone(&core), listener, Arc::clone(&tls));
            core.tasks.spawn(async move { stop.run_until_cancelled(serving).await });
            let stop = core.stop.clone();
            let reissuing = duties::reissue(Arc::clone(&core), move |identity| {
                *tls.write() = identity.server;
                dialer.replace(identity.client);
            });
            core.tasks.spawn(async move { stop.run_until_cancelled(reissuing).await });
        }
        duties::start(&core);
        embedded.ready(origin.founded, alone).await?;
        Ok(embedded)
    }

    /// Begins the log of a new pool, or takes the lead of one that has this manager alone; tells
    /// whether it is alone.
    async fn begin(&self, founded: bool) -> Result<bool> {
        let core = &self.core;
        let fatal = |error: &dyn std::fmt::Display| core.refused(words(&error.to_string()));
        let begun = core.raft.is_initialized().await.map_err(|error| fatal(&error))?;
        if !begun && !founded {
            // The leader fills it.
            return Ok(false);
        }
        if !begun {
            let own = Peer { address: core.advertise.clone() };
            let first = BTreeMap::from([(core.id, own)]);
            core.raft.initialize(first).await.map_err(|error| fatal(&error))?;
            return Ok(true);
        }
        let wait = core.raft.wait(Some(core.deadline));
        let known =
            |metrics: &RaftMetrics<Kinds>| metrics.membership_config.voter_ids().next().is_some();
        let metrics = wait.metrics(known, "the membership").await.map_err(|error| fatal(&error))?;
        let voters: Vec<_> = metrics.membership_config.voter_ids().collect();
        if voters == [core.id] {
            core.raft.trigger().elect(false).await.map_err(|error| fatal(&error))?;
        } else if !core.listens {
            return Err(StoreError::Option {
                option: "--store-listen".to_owned(),
                reason: format!(
                    "this pool has {} managers, which have to reach each other; give HOST:PORT",
                    voters.len()
                ),
            });
        }
        Ok(voters == [core.id])
    }

    /// A manager that is alone is ready at once; one of several is as soon as the others are.
    async fn ready(&self, founded: bool, alone: bool) -> Result<()> {
        let core = &self.core;
        if !alone {
            return Ok(());
        }
        let ready = if duties::wait_for_leader(core, core.deadline).await {
            self.make_tokens(founded).await
        } else {
            Err(core.unreachable("it did not begin in time"))
        };
        match core.disk.trouble() {
            Some(trouble) if ready.is_err() => {
                Err(core.refused(format!("its disk does not take writes ({trouble})")))
            }
            _ => ready,
        }
    }

    /// A new pool has tokens from the beginning.
    async fn make_tokens(&self, founded: bool) -> Result<()> {
        if self.core.authority.is_none() {
            return Ok(());
        }
        for role in [Role::Manager, Role::Node] {
            if founded && members::secret(&self.core, role).is_none() {
                members::make_token(&self.core, role, When::Absent).await?;
            }
        }
        Ok(())
    }

    /// This manager's number.
    pub fn id(&self) -> u64 {
        self.core.id
    }

    /// Where this manager is reached by others; empty where it is not.
    pub fn address(&self) -> &str {
        &self.core.advertise
    }

    /// The pool's join tokens.
    pub async fn tokens(&self) -> Result<Tokens> {
        members::tokens(&self.core).await
    }

    /// Makes a new token of one role: the old one is refused from then on. Who has joined stays.
    pub async fn rotate_tokens(&self, role: Role) -> Result<Tokens> {
        members::make_token(&self.core, role, When::Always).await?;
        self.tokens().await
    }

    /// The pool's managers, and whether they answer now.
    pub async fn members(&self) -> Vec<Member> {
        members::list(&self.core).await
    }

    /// Takes a manager out of the pool, for one that is lost. Those that are left must have a
    /// quorum.
    pub async fn remove_member(&self, id: u64) -> Result<()> {
        self.core.able()?;
        match members::remove(&self.core, id).await {
            Ok(Reply::Done) => Ok(()),
            Ok(_) => Err(self.core.unreachable("the leader gave an odd answer")),
            Err(fault) => Err(fault.into_error(&self.core.name)),
        }
    }

    /// Makes several changes together, or none of them; the revision of what was written.
    pub async fn transact(&self, transaction: Transaction) -> Result<Revision> {
        self.handle().transact(transaction).await
    }

    /// Whether this manager's store leads the others.
    pub fn is_leader(&self) -> bool {
        self.core.leads()
    }

    /// Has another manager lead, if this one does and there is one; whether that came about.
    pub async fn hand_over(&self) -> bool {
        duties::hand_over(&self.core).await
    }

    /// Hands leadership over, writes what is under way, and lets go of the folder.
    pub async fn shutdown(&self) {
        let core = &self.core;
        duties::hand_over(core).await;
        core.stop.cancel();
        core.tasks.close();
        // Whoever is in a call is told that it is over; nothing is written after this.
        let _ = tokio::time::timeout(FAREWELL, core.tasks.wait()).await;
        if let Some(error) = core.end().await {
            tracing::warn!(error, "the store did not end well");
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Without a shutdown: what was answered is on disk, the rest ends where it is. Watches may
        // still hold a part of it, which must not keep the folder.
        self.core.stop.cancel();
        let core = Arc::clone(&self.core);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Some(error) = core.end().await {
                    tracing::debug!(error, "the store did not end well");
                }
            });
        }
    }
}

/// The way to the others, and theirs to a pool's manager.
fn way(
    entry: &Entry,
    origin: &Origin,
) -> std::result::Result<(Dialer, Option<Arc<ServerConfig>>), rustls::Error> {
    Ok(match entry {
        Entry::Swarm(Swarm { transport, .. }) => (Dialer::given(Arc::clone(transport)), None),
        Entry::Pool(_) | Entry::Given(_) => {
            let identity = trust::identity(&origin.authority, origin.id)?;
            (Dialer::new(identity.client, None), Some(identity.server))
        }
    })
}

fn advertised(listener: &tokio::net::TcpListener) -> Result<String> {
    match listener.local_addr() {
        Ok(address) if !address.ip().is_unspecified() => Ok(address.to_string()),
        _ => Err(StoreError::Option {
            option: "--advertise".to_owned(),
            reason: "the store listens on every address; say at which HOST:PORT other managers \
                     reach it"
                .to_owned(),
        }),
    }
}

fn config(timing: crate::options::Timing) -> std::result::Result<Config, String> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let config = Config {
        cluster_name: "swarm".to_owned(),
        heartbeat_interval: millis(timing.heartbeat),
        election_timeout_min: millis(timing.election),
        election_timeout_max: millis(timing.election * 3 / 2),
        max_payload_entries: 512,
        snapshot_policy: SnapshotPolicy::Never,
        // How much of it stays may change while it runs: `duties` cuts it.
        max_in_snapshot_log_to_keep: u64::MAX,
        enable_pre_vote: Some(true),
        // A leader that was away is one only after the others agree: its state may be old.
        enable_leader_restore: Some(false),
        backoff: "50ms 100ms 200ms ..500ms".to_owned(),
        ..Config::default()
    };
    config.validate().map_err(|error| error.to_string())
}

#[async_trait]
impl KeyValue for Embedded {
    fn describe(&self) -> String {
        self.core.name.clone()
    }

    fn largest_value(&self) -> usize {
        LARGEST_VALUE
    }

    async fn get(&self, key: &str) -> Result<Option<Item>> {
        self.handle().get(key).await
    }

    async fn list(&self, directory: &str) -> Result<Vec<Item>> {
        self.handle().list(directory).await
    }

    async fn put(&self, write: Write) -> Result<Revision> {
        self.handle().put(write).await
    }

    async fn delete(&self, key: &str, expect: Expect, guard: Option<&Guard>) -> Result<()> {
        self.handle().delete(key, expect, guard).await
    }

    fn watch(&self, directory: &str) -> Watch {
        self.handle().watch(directory)
    }

    async fn grant(&self, ttl: Duration) -> Result<Lease> {
        self.handle().grant(ttl).await
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        self.handle().renew(lease).await
    }

    async fn revoke(&self, lease: &Lease) -> Result<()> {
        self.handle().revoke(lease).await
    }

    async fn renewed_ago(&self, key: &str) -> Result<Option<Duration>> {
        self.handle().renewed_ago(key).await
    }
}

impl Embedded {
    #[cfg(test)]
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.core))
    }
}
