//! The cluster's objects on this manager: read from the store's own copy here, changed through
//! whoever leads.
//!
//! Reading order: [`store`] (the port below), [`object`] (how things are kept), [`tables`], [`batch`].
//!
//! Invariants: [`Tables`] only ever shows what the store applied, a transaction as a whole; after
//! [`Replica::commit`] they show what was committed, but where this manager's disk is stuck.

pub mod batch;
mod embedded;
#[cfg(any(test, feature = "memory"))]
pub mod memory;
pub mod object;
pub mod store;
pub mod tables;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use prometheus_client::metrics::histogram::Histogram;
use swarm_kv::{Change, StoreError};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub use batch::Batch;
pub use object::{Config, Guard, Object, PREFIX, Secret};
pub use store::{Leadership, Member, Store};
pub use tables::{Tables, Touched};

/// How long a commit waits until it is seen here; longer, and the store's copy here is stuck.
const SEEN: Duration = Duration::from_secs(5);

/// The objects, and the way to change them.
#[derive(Debug)]
pub struct Replica {
    store: Arc<dyn Store>,
    tables: RwLock<Tables>,
    /// One reads what the store told at a time; the others wait as tasks, not as threads.
    catching_up: tokio::sync::Mutex<()>,
    /// The revision that the tables show.
    shown: watch::Sender<u64>,
    feeds: Mutex<HashMap<u64, Arc<Inbox>>>,
    latency: Histogram,
}

/// Upper bounds of the times that a write takes, in seconds: a flush of a disk or two, up to what a
/// change waits for a new leader.
const LATENCIES: [f64; 12] =
    [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// What changed and was not fetched yet.
#[derive(Debug, Default)]
struct Inbox {
    touched: Mutex<Touched>,
    news: Notify,
}

/// A follower of changes. What it does not fetch in time is merged, never lost.
#[derive(Debug)]
pub struct Feed {
    replica: Arc<Replica>,
    number: u64,
    inbox: Arc<Inbox>,
}

impl Replica {
    /// Shows what the store has now. [`Replica::run`] keeps it so.
    pub fn new(store: Arc<dyn Store>) -> Arc<Self> {
        let replica = Self {
            store,
            tables: RwLock::default(),
            catching_up: tokio::sync::Mutex::default(),
            shown: watch::Sender::new(0),
            feeds: Mutex::default(),
            latency: Histogram::new(LATENCIES),
        };
        replica.take_over(true);
        Arc::new(replica)
    }

    /// Follows the store until it is told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut news = self.store.news();
        loop {
            news.mark_unchanged();
            self.catch_up().await;
            tokio::select! {
                () = stop.cancelled() => return,
                changed = news.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn catch_up(&self) {
        let _one = self.catching_up.lock().await;
        self.take_over(false);
    }

    fn take_over(&self, first: bool) {
        let since = (!first).then(|| self.tables.read().revision);
        let followed = self.store.follow_all(PREFIX, since);
        if since == Some(followed.revision) {
            return;
        }
        let revision = followed.revision;
        let is_whole = followed.changes.iter().any(|one| matches!(one, Change::Whole(_)));
        let (mut tables, touched);
        let mut old = None;
        if is_whole {
            // A large swarm takes seconds: nobody waits for the tables meanwhile, nor for this thread.
            let mut fresh = self.tables.read().beside();
            touched = aside(|| fresh.apply(followed));
            tables = self.tables.write();
            old = Some(std::mem::replace(&mut *tables, fresh));
        } else {
            tables = self.tables.write();
            touched = tables.apply(followed);
        }
        // Under the lock, so that followers are told in the order of revisions.
        if !touched.is_empty() {
            for inbox in self.feeds.lock().values() {
                inbox.touched.lock().merge(&touched);
                inbox.news.notify_one();
            }
        }
        drop(tables);
        drop(old);
        self.shown.send_replace(revision);
    }

    /// The store below.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Looks at the objects. Nothing may be awaited meanwhile: writers wait.
    pub fn read<T>(&self, look: impl FnOnce(&Tables) -> T) -> T {
        look(&self.tables.read())
    }

    /// Waits until the tables show all that was answered anywhere before.
    pub async fn fresh(&self) -> Result<(), StoreError> {
        self.store.barrier().await?;
        self.catch_up().await;
        Ok(())
    }

    /// Writes a batch and waits until the tables show it, or until that takes too long. One that is larger
    /// than a transaction is written in several, in its order: an error may leave the first of them written.
    pub async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut revision = 0;
        for transaction in batch.cut() {
            let begun = Instant::now();
            let written = self.store.transact(transaction).await;
            self.latency.observe(begun.elapsed().as_secs_f64());
            revision = written?.0;
        }
        let mut shown = self.shown.subscribe();
        self.catch_up().await;
        let seen = tokio::time::timeout(SEEN, shown.wait_for(|shown| *shown >= revision)).await;
        if seen.is_err() {
            // It was written: an error would say otherwise.
            tracing::warn!(
                "a change is not seen on this manager after {SEEN:?}; its disk may be stuck"
            );
        }
        Ok(())
    }

    /// How long writes took until a majority had them, failed ones too. A clone is the same.
    pub fn latency(&self) -> Histogram {
        self.latency.clone()
    }

    /// Follows changes from now on.
    pub fn feed(self: &Arc<Self>) -> Feed {
        let inbox = Arc::new(Inbox::default());
        let mut feeds = self.feeds.lock();
        let number = feeds.keys().max().map_or(0, |last| last + 1);
        feeds.insert(number, Arc::clone(&inbox));
        Feed { replica: Arc::clone(self), number, inbox }
    }
}

/// Work that takes long, with the runtime's other tasks going on where it has other threads for them.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

impl Feed {
    /// What changed since it was asked last; waits until something did.
    pub async fn changed(&self) -> Touched {
        loop {
            let touched = self.take();
            if !touched.is_empty() {
                return touched;
            }
            self.inbox.news.notified().await;
        }
    }

    /// Waits until something has changed since it was asked last, and leaves it to be asked for.
    pub async fn wait(&self) {
        while self.inbox.touched.lock().is_empty() {
            self.inbox.news.notified().await;
        }
    }

    /// What changed since it was asked last.
    pub fn take(&self) -> Touched {
        std::mem::take(&mut self.inbox.touched.lock())
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.replica.feeds.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests;
