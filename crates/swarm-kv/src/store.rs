//! The trait and its words.
//!
//! Invariants for every implementation (`swarm_testkit::stores::conformance` checks them):
//! - reads see every write that was answered before they began (linearizable reads);
//! - a conditional write happens as a whole or not at all, its guard included;
//! - every call ends within the store's deadline;
//! - a watch begins with the whole directory, shows every later state at least once in order (it
//!   may skip states that were overwritten meanwhile), tells a failure once, and begins again with
//!   the whole directory after one. It never ends.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;

use crate::{Result, StoreError};

/// Names one value of one key, as long as the key is not deleted and made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// A key with its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    /// The whole key.
    pub key: String,
    /// What is kept.
    pub value: Bytes,
    /// Which value of the key this is.
    pub revision: Revision,
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values can hold a container's environment: only their size is shown.
        write!(f, "{}@{} ({} bytes)", self.key, self.revision.0, self.value.len())
    }
}

/// On what a write or a deletion depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// On nothing.
    Anything,
    /// The key is not there.
    Absent,
    /// The key has this value still.
    Revision(Revision),
}

/// A second condition: another key has this value still. A leader guards its writes with the key
/// that the next leader changes first, so that one that slept through its end writes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The other key.
    pub key: String,
    /// What it must be.
    pub revision: Revision,
}

/// One write.
#[derive(Debug, Clone)]
pub struct Write {
    /// The whole key.
    pub key: String,
    /// The new value.
    pub value: Bytes,
    /// On what it depends.
    pub expect: Expect,
    /// The key goes when this lease ends.
    pub lease: Option<Lease>,
    /// On what else it depends.
    pub guard: Option<Guard>,
}

impl Write {
    /// An unconditional write without a lease.
    pub fn new(key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            expect: Expect::Anything,
            lease: None,
            guard: None,
        }
    }

    /// Depends on `expect`.
    #[must_use]
    pub fn expecting(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// Bound to `lease`.
    #[must_use]
    pub fn leased(mut self, lease: &Lease) -> Self {
        self.lease = Some(lease.clone());
        self
    }

    /// Depends on `guard` too.
    #[must_use]
    pub fn guarded(mut self, guard: Option<&Guard>) -> Self {
        self.guard = guard.cloned();
        self
    }
}

/// A promise of the store to keep keys while somebody renews it: a Consul session, an etcd lease, a
/// ZooKeeper session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The store's own name of it.
    pub id: String,
    /// How long the holder may count on it, from the moment the granting or renewing call was
    /// *begun*. At most what was asked for.
    pub holds: Duration,
    /// When the store has dropped it at the latest, from the last renewal: what was asked for, or
    /// the store's own minimum where that is longer.
    pub gone_after: Duration,
}

/// One step of a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The directory as it is, in the order of its keys; replaces everything known before.
    Whole(Vec<Item>),
    /// A key is new or has a new value.
    Put(Item),
    /// A key is gone.
    Deleted(String),
}

/// An endless stream of changes; dropping it ends the watch.
pub type Watch = Pin<Box<dyn Stream<Item = Result<Change>> + Send>>;

/// A pool's shared store.
#[async_trait]
pub trait KeyValue: fmt::Debug + Send + Sync {
    /// The store's URL without secrets, for messages.
    fn describe(&self) -> String;

    /// The largest value it takes, in bytes.
    fn largest_value(&self) -> usize;

    /// One key.
    async fn get(&self, key: &str) -> Result<Option<Item>>;

    /// The direct children of a directory, in the order of their keys. One that is not there is
    /// empty.
    async fn list(&self, directory: &str) -> Result<Vec<Item>>;

    /// Writes one key. [`StoreError::Conflict`] when `expect` is not met, [`StoreError::Fenced`]
    /// when the guard is not, [`StoreError::LeaseLost`] when the lease is over.
    async fn put(&self, write: Write) -> Result<Revision>;

    /// Deletes one key; one that is not there is deleted already (and conflicts only with
    /// [`Expect::Revision`]).
    async fn delete(&self, key: &str, expect: Expect, guard: Option<&Guard>) -> Result<()>;

    /// The direct children of a directory from now on.
    fn watch(&self, directory: &str) -> Watch;

    /// A new lease that the store drops `ttl` after its last renewal.
    async fn grant(&self, ttl: Duration) -> Result<Lease>;

    /// Renews a lease. [`StoreError::LeaseLost`] when it is over.
    async fn renew(&self, lease: &Lease) -> Result<()>;

    /// Ends a lease now, and with it its keys. One that is over already is no error.
    async fn revoke(&self, lease: &Lease) -> Result<()>;

    /// How long ago a key's lease was last renewed, where the store can tell; `None` where it
    /// cannot, or where the key has no lease or is not there.
    async fn renewed_ago(&self, _key: &str) -> Result<Option<Duration>> {
        Ok(None)
    }
}

/// Checks the size of a value before it is sent.
pub(crate) fn fits(store: &dyn KeyValue, key: &str, value: &[u8]) -> Result<()> {
    let limit = store.largest_value();
    if value.len() <= limit {
        return Ok(());
    }
    Err(StoreError::TooLarge { key: key.to_owned(), size: value.len(), limit })
}

impl dyn KeyValue {
    /// [`StoreError::TooLarge`] when the store would not take `value`.
    pub fn check_size(&self, key: &str, value: &[u8]) -> Result<()> {
        fits(self, key, value)
    }
}
