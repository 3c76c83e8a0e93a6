//! The store: a machine behind a lock.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use swarm_kv::{Expect, Guard, Item, KeyValue, Lease, Result, Revision, StoreError, Watch, Write};
use swarm_store::{Command, Done, Followed, LARGEST_VALUE, Machine};
use tokio::sync::watch;
use tokio::time::Instant;

/// Its name in messages.
const NAME: &str = "memory://";

/// A store in this process; clones are handles of the same one.
#[derive(Debug, Clone)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    machine: Mutex<Machine>,
    /// Tells watchers to look again: after a change, and when a fault begins or ends.
    news: watch::Sender<()>,
    fault: Mutex<Option<StoreError>>,
    born: Instant,
}

impl Memory {
    /// An empty store.
    #[allow(clippy::new_ret_no_self)] // A store is always shared; this is the form its users hold.
    pub fn new() -> Arc<Self> {
        let shared = Shared {
            machine: Mutex::new(Machine::new()),
            news: watch::Sender::new(()),
            fault: Mutex::new(None),
            born: Instant::now(),
        };
        Arc::new(Self { shared: Arc::new(shared) })
    }

    /// For tests: from now on every call fails with `error`, and every watch tells it once; with
    /// `None` the store is well again, and watches begin anew. Leases run on meanwhile, as they do
    /// in a store that cannot be reached.
    pub fn fail(&self, error: Option<StoreError>) {
        *self.shared.fault.lock() = error;
        self.shared.news.send_replace(());
    }
}

impl Shared {
    /// `Err` while the store is made to fail.
    fn well(&self) -> Result<()> {
        match &*self.fault.lock() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn apply(&self, command: Command) -> Result<Done> {
        let outcome = self.machine.lock().apply(command, self.now());
        self.news.send_replace(());
        outcome.map_err(|refusal| refusal.into_error(NAME))
    }

    pub fn follow(&self, directory: &str, since: Option<u64>) -> Result<Followed> {
        self.well()?;
        Ok(self.machine.lock().follow(directory, since))
    }

    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }
}

/// Ends leases that are due, until there are none left or the store is gone.
async fn expire(shared: Weak<Shared>, lease: String) {
    loop {
        let Some(due) = ({
            let Some(shared) = shared.upgrade() else { return };
            let until = shared.machine.lock().due_at(&lease);
            until.map(|until| shared.born + Duration::from_millis(until))
        }) else {
            return;
        };
        tokio::time::sleep_until(due).await;
        let Some(shared) = shared.upgrade() else { return };
        let due = shared.machine.lock().due(shared.now());
        if !due.is_empty() {
            // What was renewed in between is left alone by the machine, and looked at again.
            let _ = shared.apply(Command::Expire { due });
        }
    }
}

#[async_trait]
impl KeyValue for Memory {
    fn describe(&self) -> String {
        NAME.to_owned()
    }

    fn largest_value(&self) -> usize {
        LARGEST_VALUE
    }

    async fn get(&self, key: &str) -> Result<Option<Item>> {
        self.shared.well()?;
        Ok(self.shared.machine.lock().get(key))
    }

    async fn list(&self, directory: &str) -> Result<Vec<Item>> {
        self.shared.well()?;
        Ok(self.shared.machine.lock().list(directory))
    }

    async fn put(&self, write: Write) -> Result<Revision> {
        self.shared.well()?;
        match self.shared.apply(write.into())? {
            Done::Written(revision) => Ok(Revision(revision)),
            other => Err(odd(&other)),
        }
    }

    async fn delete(&self, key: &str, expect: Expect, guard: Option<&Guard>) -> Result<()> {
        self.shared.well()?;
        self.shared.apply(Command::delete(key, expect, guard)).map(drop)
    }

    fn watch(&self, directory: &str) -> Watch {
        crate::watch::watch(Arc::clone(&self.shared), directory.to_owned())
    }

    async fn grant(&self, ttl: Duration) -> Result<Lease> {
        self.shared.well()?;
        let id = format!("{:032x}", rand::random::<u128>());
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        self.shared.apply(Command::Grant { lease: id.clone(), ttl: millis })?;
        tokio::spawn(expire(Arc::downgrade(&self.shared), id.clone()));
        Ok(Lease { id, holds: ttl, gone_after: ttl })
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        self.shared.well()?;
        self.shared.apply(Command::Renew { lease: lease.id.clone() }).map(drop)
    }

    async fn revoke(&self, lease: &Lease) -> Result<()> {
        self.shared.well()?;
        self.shared.apply(Command::Revoke { lease: lease.id.clone() }).map(drop)
    }

    async fn renewed_ago(&self, key: &str) -> Result<Option<Duration>> {
        self.shared.well()?;
        Ok(self.shared.machine.lock().renewed_ago(key, self.shared.now()))
    }
}

fn odd(done: &Done) -> StoreError {
    StoreError::Garbage {
        store: NAME.to_owned(),
        kind: "memory",
        reason: format!("a write was answered with {done:?}"),
    }
}
