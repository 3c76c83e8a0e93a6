//! What a pool keeps in its store, and who may change it: wanted containers, engines, and what was
//! removed while its engine was away.
//!
//! Only the primary has it loaded. Everybody else's changes are the primary's to make.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::RwLock;
use swarm_kv::{Expect, KeyValue, Layout, StoreError, Write};
use swarm_model::{EngineRecord, Intent, Place, Removed};
use tokio::sync::watch;

use crate::engine::{Container, EngineKey};
use crate::ledger::{GuardSource, Ledger};
use crate::seal::PoolKey;

/// The store of a pool, and what is needed to keep things in it.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The store.
    pub store: Arc<dyn KeyValue>,
    /// Where in it.
    pub layout: Layout,
    /// Seals registry credentials.
    pub key: KeySource,
}

/// Where the key is that seals registry credentials.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// There is none: credentials are not kept.
    None,
    /// The person's own, the same for all managers of the pool.
    Given(Arc<PoolKey>),
    /// In the store, which seals everything by itself; made there when it is missing.
    Store,
}

/// The pool's shared state.
#[derive(Debug)]
pub struct State {
    /// The store.
    pub store: Arc<dyn KeyValue>,
    /// Where in it.
    pub layout: Layout,
    source: KeySource,
    key: ArcSwapOption<PoolKey>,
    /// Wanted containers, by `com.docker.swarm.id`.
    pub intents: Arc<Ledger<Intent>>,
    /// Engines, by their id.
    pub engines: Arc<Ledger<EngineRecord>>,
    /// Containers removed while their engine was away, by their intent's id.
    pub removed: Arc<Ledger<Removed>>,
    loaded: watch::Sender<bool>,
    /// Copies that were replaced and not removed yet, by the engine's id of them: nobody is shown
    /// them.
    superseded: RwLock<HashMap<Arc<str>, EngineKey>>,
    /// Counts changes of `superseded`, and of who keeps.
    hidings: watch::Sender<u64>,
}

impl State {
    /// Nothing loaded.
    pub fn new(config: StoreConfig, guard: &GuardSource) -> Self {
        let StoreConfig { store, layout, key } = config;
        Self {
            intents: Ledger::new(Arc::clone(&store), layout.intents(), Arc::clone(guard)),
            engines: Ledger::new(Arc::clone(&store), layout.engines(), Arc::clone(guard)),
            removed: Ledger::new(Arc::clone(&store), layout.removed(), Arc::clone(guard)),
            store,
            layout,
            key: ArcSwapOption::new(match &key {
                KeySource::Given(key) => Some(Arc::clone(key)),
                KeySource::None | KeySource::Store => None,
            }),
            source: key,
            loaded: watch::Sender::new(false),
            superseded: RwLock::default(),
            hidings: watch::Sender::new(0),
        }
    }

    /// Takes over as primary.
    pub async fn load(&self) -> Result<(), StoreError> {
        self.intents.load().await?;
        self.engines.load().await?;
        self.removed.load().await?;
        if matches!(self.source, KeySource::Store) {
            self.key.store(Some(Arc::new(self.key_in_store().await?)));
        }
        self.loaded.send_replace(true);
        self.hidings.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Seals registry credentials, where they can be.
    pub fn key(&self) -> Option<Arc<PoolKey>> {
        self.key.load_full()
    }

    /// The key that the store holds; whoever comes first makes it.
    async fn key_in_store(&self) -> Result<PoolKey, StoreError> {
        let place = self.layout.at("key");
        let unusable = |reason: String| StoreError::Option { option: place.clone(), reason };
        loop {
            if let Some(item) = self.store.get(&place).await? {
                return PoolKey::new(&item.value).map_err(|error| unusable(error.to_string()));
            }
            let secret: [u8; 32] = rand::random();
            let write = Write::new(&*place, secret.map(|byte| format!("{byte:02x}")).concat());
            match self.store.put(write.expecting(Expect::Absent)).await {
                Err(StoreError::Conflict { .. }) => {}
                made => drop(made?),
            }
        }
    }

    /// Another manager is primary.
    pub fn unload(&self) {
        self.loaded.send_replace(false);
        self.intents.clear();
        self.engines.clear();
        self.removed.clear();
        self.superseded.write().clear();
        self.hidings.send_modify(|count| *count += 1);
    }

    /// Counts what hides containers from sight, or shows them again.
    pub fn hidings(&self) -> watch::Receiver<u64> {
        self.hidings.subscribe()
    }

    /// Whether this manager is the one that keeps.
    pub fn is_loaded(&self) -> bool {
        *self.loaded.borrow()
    }

    /// Waits until this manager is the one that keeps; whether it is.
    pub async fn loads_within(&self, limit: Duration) -> bool {
        let mut loaded = self.loaded.subscribe();
        tokio::time::timeout(limit, loaded.wait_for(|loaded| *loaded)).await.is_ok()
    }

    /// Whether a container on an engine is a copy that was replaced, or that was removed while the
    /// engine was away.
    pub fn is_stale(&self, engine_id: &str, container: &Container) -> bool {
        let Some(id) = container.swarm_id().filter(|_| self.is_loaded()) else { return false };
        let Some(intent) = self.intents.get(id) else {
            // Copies of it may be on several engines, whichever it was on last.
            return self.removed.get(id).is_some();
        };
        let generation = container.generation();
        generation < intent.generation
            || (generation == intent.generation
                && intent.place.engine().is_some_and(|at| at.id != engine_id))
    }

    /// Nobody is shown this copy any more.
    pub fn supersede(&self, engine: EngineKey, container: &str) {
        if self.superseded.write().insert(container.into(), engine).is_none() {
            self.hidings.send_modify(|count| *count += 1);
        }
    }

    /// Whether a copy is kept from sight. Cheap where there is none.
    pub fn is_superseded(&self, container: &str) -> bool {
        let superseded = self.superseded.read();
        !superseded.is_empty() && superseded.contains_key(container)
    }

    /// Copies are gone from their engine.
    pub fn forget_superseded<'a>(&self, gone: impl Iterator<Item = &'a str>) {
        if self.superseded.read().is_empty() {
            return;
        }
        let mut superseded = self.superseded.write();
        for id in gone {
            superseded.remove(id);
        }
    }

    /// The intent of a container, by the engine's id of it where nothing else is known.
    pub fn intent_at(&self, container: &str) -> Option<Arc<Intent>> {
        self.intents.find(
            |intent| matches!(&intent.place, Place::At { container: at, .. } if at == container),
        )
    }
}
