//! This node as a member of a swarm: its agent always, its manager as long as its certificate is a
//! manager's.
//!
//! Invariants: nobody's store is given up before the others did without it; a restart of either part
//! stops no task.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use swarm_agent::{Agent, AgentOptions};
use swarm_ca::Role;
use swarm_model::Id;
use swarm_rpc::v1::Wish;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::Clients;
use crate::engine::LocalEngine;
use crate::identity::{Ended, Own, Wishes, keep_renewed};
use crate::info::Warning;
use crate::kept::Kept;
use crate::manager::{Beginning, Manager, ManagerError, Seat};
use crate::plugins::Plugins;
use crate::transport::ToManagers;

mod asked;
mod held;
mod role;
mod ways;

pub use ways::{End, Way};

/// How long tasks may take to end.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long the others may take to let a manager go that leaves.
const LETTING_GO: Duration = Duration::from_secs(5);

/// Where a node keeps what it has.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its folder.
    pub folder: PathBuf,
    /// A folder in memory for what must not be on a disk.
    pub volatile: PathBuf,
    /// What its owner allows beyond Docker's.
    pub allows: Vec<String>,
}

/// Why there is no member.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// TLS.
    #[error(transparent)]
    Tls(#[from] swarm_ca::tls::TlsError),
    /// The manager.
    #[error(transparent)]
    Manager(#[from] ManagerError),
    /// The agent.
    #[error("the agent: {0}")]
    Agent(String),
}

/// A member.
#[derive(Debug)]
pub struct Member {
    place: Place,
    kept: Mutex<Kept>,
    pub(crate) own: Own,
    way: Arc<ToManagers>,
    node_id: Id,
    /// Until the member ends, or its tasks have to.
    pub(crate) agent: RwLock<Option<Agent>>,
    wishes: watch::Receiver<Option<Wish>>,
    manager: RwLock<Option<Arc<Manager>>>,
    /// Why the manager is not there, while it should be.
    trouble: RwLock<Option<String>>,
    /// Since when another pace of the store waits, and what a person is told of it.
    pace_waits: RwLock<Option<(Instant, Warning)>>,
    /// The swarm does not have this node any more; in a manager's words.
    pub(crate) removed: RwLock<Option<String>>,
    /// Held while tasks are stopped because of that.
    pub(crate) ending: tokio::sync::Mutex<()>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What a member begins with.
#[derive(Debug)]
pub struct Start {
    /// Where it keeps what it has.
    pub place: Place,
    /// Its engine.
    pub engine: LocalEngine,
    /// Who it is.
    pub own: Own,
    /// What it remembers.
    pub kept: Kept,
    /// Where clients go that another manager passes on.
    pub clients: Clients,
    /// How its manager's store begins, where the person who asked waits for it.
    pub beginning: Option<Beginning>,
}

impl Member {
    /// Starts its parts. With a beginning, an error of the manager is an error of the start; without
    /// one the manager is tried until it stands.
    pub async fn start(start: Start) -> Result<Arc<Self>, MemberError> {
        let Start { place, engine, own, kept, clients, beginning } = start;
        let subject = own.identity().subject;
        let (cluster_id, node_id) = (subject.cluster_id().to_owned(), Id::from(subject.node_id()));
        let way = ToManagers::new(own.live(), &cluster_id, (kept.advertise, kept.listen))?;
        let mut managers = kept.managers.clone();
        if subject.role() == Role::Manager {
            managers.insert(0, kept.advertise.to_string());
        }
        let seat = Seat {
            folder: place.folder.clone(),
            listen: kept.listen,
            advertise: kept.advertise,
            own: own.clone(),
            cluster_id: cluster_id.clone(),
            node_id: node_id.clone(),
            clients,
            pace: kept.pace,
            drivers: Arc::new(Plugins::new(engine.client().clone())),
        };
        let (manager, trouble) = match beginning {
            Some(beginning) => (Some(Manager::start(&seat, beginning).await?), None),
            None if subject.role() == Role::Manager => {
                // Once before anybody is served, so that a restart looks like none.
                match Manager::start(&seat, Beginning::join(others(&kept))).await {
                    Ok(manager) => (Some(manager), None),
                    Err(error) => {
                        tracing::warn!(%error, "this node cannot be a manager yet");
                        (None, Some(error.to_string()))
                    }
                }
            }
            None => (None, None),
        };
        let agent = Agent::start(AgentOptions {
            engine: engine.client().clone(),
            dial: Arc::clone(&way) as _,
            managers,
            node_id: node_id.to_string(),
            cluster_id,
            files: place.volatile.clone(),
            allows: place.allows.clone(),
        });
        let agent = match agent {
            Ok(agent) => agent,
            Err(error) => {
                if let Some(manager) = manager {
                    manager.stop().await;
                }
                return Err(MemberError::Agent(error.to_string()));
            }
        };
        let wishes = agent.wishes();
        let member = Arc::new(Self {
            place,
            kept: Mutex::new(kept),
            own,
            way,
            node_id,
            agent: RwLock::new(Some(agent)),
            wishes,
            manager: RwLock::new(manager),
            trouble: RwLock::new(trouble),
            pace_waits: RwLock::new(None),
            removed: RwLock::new(None),
            ending: tokio::sync::Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        member.spawn(Arc::clone(&member).remember());
        member.spawn(Arc::clone(&member).keep_identity());
        member.spawn(Arc::clone(&member).keep_role(seat));
        member.spawn(Arc::clone(&member).heed_removal());
        Ok(member)
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move { stop.run_until_cancelled(work).await });
    }

    /// Remembers the managers that the leader names.
    async fn remember(self: Arc<Self>) {
        let mut wishes = self.wishes.clone();
        loop {
            if let Some(wish) = wishes.borrow_and_update().clone() {
                self.remember_managers(wish.managers);
            }
            if wishes.changed().await.is_err() {
                return;
            }
        }
    }

    fn remember_managers(&self, managers: Vec<String>) {
        let mut kept = self.kept.lock();
        if managers.is_empty() || kept.managers == managers {
            return;
        }
        kept.managers = managers;
        if let Err(error) = kept.save(&self.place.folder) {
            tracing::warn!(%error, "the managers' addresses cannot be kept");
        }
    }

    /// Renews the certificate in time, and at once when the leader wants another role or root.
    async fn keep_identity(self: Arc<Self>) {
        let (managers, known) = watch::channel(self.managers_known());
        let (wishes, wished) = watch::channel(Wishes::default());
        let renewing = keep_renewed(self.own.clone(), known, wished, self.stop.clone());
        let telling = async {
            let mut told = self.wishes.clone();
            loop {
                if let Some(wish) = told.borrow_and_update().clone() {
                    managers.send_replace(self.managers_known());
                    wishes.send_replace(wished_of(wish));
                }
                if told.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            ended = renewing => if let Ended::Removed(words) = ended {
                self.was_removed(words);
            },
            () = telling => {}
        }
    }

    pub(crate) fn managers_known(&self) -> Vec<String> {
        let kept = self.kept.lock();
        let own = (self.role() == Role::Manager).then(|| kept.advertise.to_string());
        own.into_iter().chain(kept.managers.iter().cloned()).collect()
    }

    /// Ends in order; containers go on, unless this node `leaves`.
    pub async fn stop(&self, leaves: bool) {
        // First, so that nobody starts again what ends here.
        self.stop.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(FAREWELL, self.tasks.wait()).await;
        let manager = self.manager.write().take();
        if leaves && let Some(manager) = &manager {
            take_leave(manager).await;
        }
        let ending = if leaves { Some(self.ending.lock().await) } else { None };
        let agent = self.agent.write().take();
        drop(ending);
        if let Some(agent) = agent
            && let Err(error) = agent.stop(leaves).await
        {
            tracing::warn!(%error, "the agent did not end as it should");
        }
        if let Some(manager) = manager {
            manager.stop().await;
        }
    }
}

/// The other managers that are remembered.
fn others(kept: &Kept) -> Vec<String> {
    let own = kept.advertise.to_string();
    kept.managers.iter().filter(|address| **address != own).cloned().collect()
}

/// Has the other managers, if there are any, do without this one.
async fn take_leave(manager: &Manager) {
    let store = manager.store();
    if store.members().await.len() < 2 {
        return;
    }
    match tokio::time::timeout(LETTING_GO, store.remove_member(store.id())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the other managers keep this one"),
        Err(_) => tracing::warn!("the other managers do not answer, and keep this one"),
    }
}

/// What a leader's wish says of the certificate.
fn wished_of(wish: Wish) -> Wishes {
    let role = match wish.role.as_str() {
        "manager" => Some(Role::Manager),
        "worker" => Some(Role::Worker),
        _ => None,
    };
    let life = (wish.certificate_life > 0).then(|| Duration::from_secs(wish.certificate_life));
    Wishes { role, issuer: wish.issuer, roots: wish.roots, life }
}
