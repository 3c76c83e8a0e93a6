//! Engines registered in a pool's store, one key each, where classic Swarm's users look for them.
//!
//! A registration is bound to a lease: it stays while its agent renews it, and nothing is written
//! while nothing changes. An agent that ends in order leaves a mark beside the nodes, so that a
//! manager can tell a leave from a registration that ran out.
//!
//! It leaves the store itself to an adapter, and what becomes of an engine to swarm-pool.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use swarm_kv::{Change, Expect, Item, KeyValue, Layout, Lease, StoreError, Watch, Write};
use tokio::sync::Mutex;

use crate::{DiscoveryBackend, DiscoveryError, Entry, EntryStream, Registration, Update};

/// A pool's engines in its store.
#[derive(Debug)]
pub struct Kv {
    store: Arc<dyn KeyValue>,
    layout: Layout,
    /// What this process registered. Held over a registration's calls: one at a time is enough.
    leases: Mutex<HashMap<Entry, Lease>>,
}

impl Kv {
    /// The engines at `layout` in `store`.
    pub fn new(store: Arc<dyn KeyValue>, layout: Layout) -> Self {
        Self { store, layout, leases: Mutex::default() }
    }

    fn left_key(&self, entry: &Entry) -> String {
        format!("{}/{entry}", self.layout.left())
    }

    async fn enter(&self, entry: &Entry, ttl: Duration) -> Result<Lease, StoreError> {
        let lease = self.store.grant(ttl).await?;
        let address = entry.to_string();
        let write = Write::new(self.layout.node(&address), address).leased(&lease);
        self.store.put(write).await?;
        // Whoever comes back has not left.
        self.store.delete(&self.left_key(entry), Expect::Anything, None).await?;
        Ok(lease)
    }
}

#[async_trait]
impl DiscoveryBackend for Kv {
    fn describe(&self) -> String {
        self.store.describe()
    }

    async fn fetch(&self) -> Result<Vec<Entry>, DiscoveryError> {
        let items = self.store.list(self.layout.nodes()).await?;
        Ok(items.iter().filter_map(|item| entry_of(&item.key)).collect())
    }

    fn watch(&self) -> EntryStream {
        let state = Watching {
            watch: self.store.watch(self.layout.nodes()),
            known: BTreeMap::new(),
            given: None,
        };
        Box::pin(stream::unfold(state, |mut state| async move {
            let update = state.next().await?;
            Some((update, state))
        }))
    }

    fn takes_registrations(&self) -> bool {
        true
    }

    fn nobody(&self) -> Option<String> {
        Some(format!(
            "no engine is registered at {} of {}: `swarm join` with the same DISCOVERY registers \
             one; where there should be some, see whether its prefix and kv.path are theirs",
            self.layout.nodes(),
            self.store.describe()
        ))
    }

    async fn register(&self, entry: &Entry, ttl: Duration) -> Result<(), DiscoveryError> {
        if !matches!(entry, Entry::Tcp { .. }) {
            return Err(DiscoveryError::NotRegistrable { entry: entry.to_string() });
        }
        let mut leases = self.leases.lock().await;
        if let Some(lease) = leases.get(entry) {
            match self.store.renew(lease).await {
                Err(StoreError::LeaseLost { .. }) => drop(leases.remove(entry)),
                renewed => return Ok(renewed?),
            }
        }
        let lease = self.enter(entry, ttl).await?;
        leases.insert(entry.clone(), lease);
        Ok(())
    }

    async fn deregister(&self, entry: &Entry) -> Result<(), DiscoveryError> {
        let mut leases = self.leases.lock().await;
        // The mark comes first: nobody sees the node gone without seeing why.
        self.store.put(Write::new(self.left_key(entry), "left")).await?;
        let node = self.layout.node(&entry.to_string());
        self.store.delete(&node, Expect::Anything, None).await?;
        if let Some(lease) = leases.remove(entry) {
            self.store.revoke(&lease).await?;
        }
        Ok(())
    }

    async fn has_left(&self, entry: &Entry) -> Result<bool, DiscoveryError> {
        Ok(self.store.get(&self.left_key(entry)).await?.is_some())
    }

    async fn registration(&self, entry: &Entry) -> Result<Registration, DiscoveryError> {
        let key = self.layout.node(&entry.to_string());
        if self.store.get(&key).await?.is_none() {
            return Ok(Registration::Absent);
        }
        let renewed = self.store.renewed_ago(&key).await?;
        Ok(renewed.map_or(Registration::Present, Registration::Renewed))
    }
}

/// The engine that a key names; other keys are somebody else's and are passed over.
fn entry_of(key: &str) -> Option<Entry> {
    let name = key.rsplit('/').next()?;
    // Spelt as it is written back, so that no engine stands there twice.
    name.parse()
        .ok()
        .filter(|entry: &Entry| matches!(entry, Entry::Tcp { .. }) && entry.to_string() == name)
}

struct Watching {
    watch: Watch,
    known: BTreeMap<String, Entry>,
    /// The last set given; `None` after an error, when even an equal set is news.
    given: Option<Arc<[Entry]>>,
}

impl Watching {
    async fn next(&mut self) -> Option<Update> {
        loop {
            match self.watch.next().await? {
                Err(error) => {
                    self.given = None;
                    return Some(Err(error.into()));
                }
                Ok(change) => self.take(change),
            }
            let set: Arc<[Entry]> = self.known.values().cloned().collect();
            if self.given.as_ref() != Some(&set) {
                self.given = Some(Arc::clone(&set));
                return Some(Ok(set));
            }
        }
    }

    fn take(&mut self, change: Change) {
        let put = |known: &mut BTreeMap<String, Entry>, item: Item| {
            if let Some(entry) = entry_of(&item.key) {
                known.insert(item.key, entry);
            }
        };
        match change {
            Change::Whole(items) => {
                self.known.clear();
                for item in items {
                    put(&mut self.known, item);
                }
            }
            Change::Put(item) => put(&mut self.known, item),
            Change::Deleted(key) => drop(self.known.remove(&key)),
        }
    }
}
