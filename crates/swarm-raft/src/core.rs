//! What all parts of a running manager share, and waiting until a read here sees everything that was
//! answered anywhere. Writing through the leader is `propose`'s.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::{Fatal, LinearizableReadError, RaftError};
use openraft::{Raft, ReadPolicy};
use swarm_kv::{Result, StoreError};
use swarm_store::Leadership;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::disk::Disk;
use crate::kinds::{Id, Kinds};
use crate::net::{Fault, Peers, Reply, Request};
use crate::options::Timing;
use crate::renewals::Renewals;
use crate::state::{Keeper, State};
use crate::trust::Authority;

/// What a call keeps of its time for telling why it failed.
const RESERVE: Duration = Duration::from_millis(500);
/// How often a call looks for a leader while there is none.
pub(crate) const LOOK: Duration = Duration::from_millis(25);
/// How long one manager may take to say how far reads have to wait.
const READ_INDEX: Duration = Duration::from_secs(1);
/// How long a read waits where the disk takes no writes: what the leader sends again after a pause is seen
/// here by then, or not before the disk does.
const LAME: Duration = Duration::from_millis(800);

/// A running manager.
#[derive(Debug)]
pub(crate) struct Core {
    pub id: Id,
    pub name: String,
    /// Where others reach it; empty where nobody does.
    pub advertise: String,
    pub listens: bool,
    pub deadline: Duration,
    pub timing: Timing,
    pub disk: Arc<Disk>,
    pub state: Arc<State>,
    pub raft: Raft<Kinds, Keeper>,
    pub peers: Arc<Peers>,
    /// Where other managers of a swarm may be beside what they said: all may have moved at once.
    pub hints: Vec<String>,
    pub authority: Authority,
    /// The others took it out of their midst.
    pub removed: AtomicBool,
    /// Who leads, for those who wait for it.
    pub leadership: watch::Sender<Leadership>,
    /// Connections that were handed in.
    pub places: Arc<Semaphore>,
    /// When the leader was last heard, by `State::now`; 0 for never.
    pub heard: AtomicU64,
    /// Up to where a disk in trouble was told that the log is agreed on.
    pub fed: AtomicU64,
    /// Bytes that the library was given by a leader and has not answered.
    pub waiting: Arc<AtomicUsize>,
    /// Why the store as a whole cannot be relied on, while it cannot.
    pub health: watch::Sender<Option<String>>,
    /// Managers that have nearly all of the log, with its end when that was seen: to count they have to have
    /// that soon.
    pub nearing: parking_lot::Mutex<BTreeMap<Id, (u64, Instant)>>,
    /// One change of the membership at a time.
    pub changing: Mutex<()>,
    pub renewals: Renewals,
    pub nodes: Vec<String>,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
}

impl Core {
    /// What the managers are of, for people.
    pub fn group(&self) -> &'static str {
        if self.authority.is_none() { "swarm" } else { "pool" }
    }

    /// What a manager that was removed is told.
    pub fn removed_words(&self) -> &'static str {
        if self.authority.is_none() {
            "this manager was removed from the swarm"
        } else {
            "this manager was removed from the pool; to let it in again move its store.redb away \
             and join with a manager token"
        }
    }

    /// Who leads, as far as this manager knows.
    pub fn leader(&self) -> Option<Id> {
        self.raft.metrics().borrow_watched().current_leader
    }

    /// Up to where this manager has the log.
    pub fn last_index(&self) -> Option<u64> {
        self.raft.metrics().borrow_watched().last_log_index
    }

    /// Whether this manager leads.
    pub fn leads(&self) -> bool {
        self.leader() == Some(self.id)
    }

    /// Whether this manager follows that leader, chosen in that term.
    pub fn follows(&self, term: u64, leader: Id) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.current_term == term && metrics.current_leader == Some(leader)
    }

    /// Whether `id` is a manager of this pool.
    pub fn knows(&self, id: Id) -> bool {
        self.raft.metrics().borrow_watched().membership_config.get_node(&id).is_some()
    }

    /// The error of a call that may succeed later.
    pub fn unreachable(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Unreachable { store: self.name.clone(), reason: reason.into() }
    }

    /// The error of a call that succeeds only after somebody acted.
    pub fn refused(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Refused { store: self.name.clone(), reason: reason.into() }
    }

    /// Until when a call may try.
    pub fn until(&self) -> Instant {
        Instant::now() + self.deadline.saturating_sub(RESERVE).max(self.deadline / 2)
    }

    /// `Err` where this manager can do nothing at all.
    pub fn able(&self) -> Result<()> {
        if self.removed.load(Ordering::Relaxed) {
            return Err(self.refused(self.removed_words()));
        }
        if self.stop.is_cancelled() {
            return Err(self.unreachable("it is shut down"));
        }
        match &self.raft.metrics().borrow_watched().running_state {
            Ok(()) => Ok(()),
            Err(Fatal::Stopped) => Err(self.unreachable("it is shut down")),
            Err(fatal) => {
                Err(self.refused(format!("it had to stop: {fatal}; start the manager again")))
            }
        }
    }

    /// Ends the library and lets go of the folder; what went wrong, if anything. What a disk in trouble has not
    /// taken is given up: the library may wait for it, and nobody was told that it was written.
    pub async fn end(&self) -> Option<String> {
        let mut trouble = self.disk.watch_trouble();
        let in_trouble = async { trouble.wait_for(Option::is_some).await.is_ok() };
        let mut ending = pin!(self.raft.shutdown());
        let ended = tokio::select! {
            ended = &mut ending => ended,
            true = in_trouble => {
                self.disk.close().await;
                ending.await
            }
        };
        self.disk.close().await;
        ended.err().map(|error| error.to_string())
    }

    /// Waits until reads here see everything that was answered before this was called.
    pub async fn linearize(&self) -> Result<()> {
        let mut until = self.until();
        loop {
            // Alone it has nobody to follow.
            if self.disk.trouble().is_some() && !self.is_alone() {
                until = until.min(Instant::now() + LAME);
            }
            self.able()?;
            let index = match self.leader() {
                Some(leader) if leader == self.id => self.read_index(until).await.ok(),
                Some(leader) => {
                    let until = until.min(Instant::now() + READ_INDEX);
                    match self.peers.call(leader, Request::ReadIndex, until).await {
                        Ok(Reply::ReadIndex(index)) => Some(index),
                        _ => None,
                    }
                }
                None => None,
            };
            if let Some(index) = index {
                if timeout_at(until, self.state.reached(index)).await.is_ok() {
                    return Ok(());
                }
            } else if Instant::now() < until {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            return Err(match self.disk.trouble() {
                Some(trouble) => StoreError::Unwritable {
                    store: self.name.clone(),
                    reason: format!(
                        "its disk does not take writes ({trouble}), and what is here may be old"
                    ),
                },
                None => self.no_quorum().await,
            });
        }
    }

    /// How far a read has to wait, as the leader knows it after it heard from a quorum that it still
    /// leads.
    pub async fn read_index(&self, until: Instant) -> std::result::Result<Option<u64>, Fault> {
        let asked = self.raft.get_read_linearizer(ReadPolicy::ReadIndex);
        match timeout_at(until, asked).await {
            Ok(Ok(linearizer)) => Ok(Some(linearizer.read_log_id().index())),
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_)))) => {
                Err(Fault::NotLeader)
            }
            Ok(Err(error)) => Err(Fault::Unreachable(error.to_string())),
            Err(_) => Err(Fault::Unreachable(String::new())),
        }
    }

    /// Says that there is no quorum, with numbers.
    pub async fn no_quorum(&self) -> StoreError {
        let words = self.count().await;
        self.unreachable(words)
    }

    /// How many managers answer, in words.
    pub async fn count(&self) -> String {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let voters: Vec<Id> = metrics.membership_config.voter_ids().collect();
        if voters.is_empty() {
            return format!("no manager of the {} has been heard yet", self.group());
        }
        let answers =
            voters.iter().map(|id| async move { *id == self.id || self.peers.answers(*id).await });
        let answering = join_all(answers).await.into_iter().filter(|answers| *answers).count();
        let (all, quorum) = (voters.len(), voters.len() / 2 + 1);
        if answering < quorum {
            format!("no quorum: {answering} of {all} managers answer, {quorum} are needed")
        } else {
            format!("no leader yet: {answering} of {all} managers answer and choose one")
        }
    }
}
