//! A store in memory, with one manager that leads: for tests of what stands on the replica.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use swarm_kv::{Revision, StoreError};
use swarm_store::{Command, Done, Followed, Machine, Transaction};
use tokio::sync::watch;

use super::store::{Leadership, Member, Store};

/// The store.
#[derive(Debug)]
pub struct Memory {
    machine: Mutex<Machine>,
    news: watch::Sender<()>,
    leadership: watch::Sender<Leadership>,
    /// Transactions that were answered.
    written: Mutex<u64>,
    /// Whether most managers are away.
    alone: AtomicBool,
    /// Whether this manager's disk takes no writes, so that it sees nothing new.
    full: AtomicBool,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Arc<Self> {
        let leader = Some("127.0.0.1:2377".to_owned());
        let leadership = Leadership { term: 1, leads: true, leader };
        Arc::new(Self {
            machine: Mutex::default(),
            news: watch::Sender::new(()),
            leadership: watch::Sender::new(leadership),
            written: Mutex::new(0),
            alone: AtomicBool::new(false),
            full: AtomicBool::new(false),
        })
    }

    /// Another manager leads, or this one does.
    pub fn lead(&self, leads: bool) {
        self.leadership.send_modify(|now| {
            *now = Leadership { term: now.term + 1, leads, leader: now.leader.clone() }
        });
    }

    /// Nobody is known to lead, or somebody is again.
    pub fn elect(&self, leader: Option<&str>) {
        self.leadership.send_modify(|now| {
            now.term += u64::from(leader.is_some());
            now.leader = leader.map(str::to_owned);
        });
    }

    /// Most managers are away from now on.
    pub fn lose_quorum(&self) {
        self.alone.store(true, Ordering::SeqCst);
    }

    /// This manager's disk takes no writes from now on: what others write is not seen here.
    pub fn fill(&self) {
        self.full.store(true, Ordering::SeqCst);
    }

    fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    fn has_quorum(&self) -> Result<(), StoreError> {
        if !self.alone.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(StoreError::Unreachable {
            store: "memory".to_owned(),
            reason: "most managers are away".to_owned(),
        })
    }

    /// How many transactions changed it.
    pub fn writes(&self) -> u64 {
        *self.written.lock()
    }
}

#[async_trait]
impl Store for Memory {
    fn follow_all(&self, prefix: &str, since: Option<u64>) -> Followed {
        match since {
            Some(revision) if self.is_full() => Followed { changes: Vec::new(), revision },
            since => self.machine.lock().follow_all(prefix, since),
        }
    }

    fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    async fn barrier(&self) -> Result<(), StoreError> {
        // As the embedded store, which asks until somebody leads.
        let mut leadership = self.leadership.subscribe();
        let _ = leadership.wait_for(|now| now.leader.is_some()).await;
        if self.is_full() {
            return Err(StoreError::Unwritable {
                store: "memory".to_owned(),
                reason: "its disk does not take writes, and what is here may be old".to_owned(),
            });
        }
        self.has_quorum()
    }

    async fn transact(&self, transaction: Transaction) -> Result<Revision, StoreError> {
        self.has_quorum()?;
        let done = self.machine.lock().apply(Command::Transact(transaction), 0);
        let done = done.map_err(|refusal| refusal.into_error("memory"))?;
        *self.written.lock() += 1;
        self.news.send_replace(());
        match done {
            Done::Written(revision) => Ok(Revision(revision)),
            other => Err(StoreError::Refused {
                store: "memory".to_owned(),
                reason: format!("a transaction was answered with {other:?}"),
            }),
        }
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    fn own(&self) -> u64 {
        1
    }

    async fn members(&self) -> Vec<Member> {
        let now = self.leadership.borrow().clone();
        let address = now.leader.unwrap_or_default();
        vec![Member { id: 1, address, leads: now.leads, votes: true, reachable: true }]
    }

    async fn remove_member(&self, _id: u64) -> Result<(), StoreError> {
        Err(StoreError::Refused {
            store: "memory".to_owned(),
            reason: "the last manager cannot be removed".to_owned(),
        })
    }
}
