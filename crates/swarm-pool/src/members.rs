//! The pool's engines as discovery names them: they come and go at run time.
//!
//! Readers take a snapshot of the whole list; one task changes it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt;
use parking_lot::Mutex;
use swarm_discovery::{DiscoveryBackend, Entry};
use swarm_engine::{ClientOptions, EngineAddress, EngineClient, Gate};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::engine::{self, Engine, EngineKey};
use crate::shared::Shared;

/// The greetings of a pool of more than [`MANY`] engines are spread over this long.
const START_SPREAD: Duration = Duration::from_millis(500);
/// See [`START_SPREAD`].
const MANY: usize = 64;

/// How many engines that are named no longer are asked after at once.
const ASKED_AT_ONCE: usize = 32;

struct Member {
    engine: Arc<Engine>,
    stop: CancellationToken,
}

/// The engines of a pool.
pub struct Members {
    shared: Arc<Shared>,
    /// The addresses that discovery named last.
    named: ArcSwap<HashSet<String>>,
    list: ArcSwap<Vec<Arc<Engine>>>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    members: HashMap<String, Member>,
    last_key: u32,
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Members").field("engines", &self.list.load().len()).finish_non_exhaustive()
    }
}

impl Members {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            named: ArcSwap::default(),
            list: ArcSwap::default(),
            table: Mutex::default(),
        }
    }

    /// All engines, in the order of their addresses.
    pub fn all(&self) -> Arc<Vec<Arc<Engine>>> {
        self.list.load_full()
    }

    /// Whether discovery names this address.
    pub fn is_named(&self, address: &str) -> bool {
        self.named.load().contains(address)
    }

    /// The engines that may be asked now.
    pub fn reachable(&self) -> Vec<Arc<Engine>> {
        self.all().iter().filter(|engine| engine.is_reachable()).cloned().collect()
    }

    /// One engine by its number. Numbers ascend in the list's order of entry, not of address, so
    /// this looks through it; it is called once or twice per request.
    pub fn get(&self, key: EngineKey) -> Option<Arc<Engine>> {
        self.list.load().iter().find(|engine| engine.key() == key).cloned()
    }

    /// Engines whose name, id (or a prefix of at least four characters) or address is `text`.
    pub fn named(&self, text: &str) -> Vec<Arc<Engine>> {
        let list = self.list.load();
        let known = |engine: &&Arc<Engine>| {
            let view = engine.view();
            *view.address == *text
                || view.identity.as_ref().is_some_and(|identity| {
                    identity.name == text
                        || identity.id == text
                        || (text.len() >= 4 && identity.id.starts_with(text))
                })
        };
        list.iter().filter(known).cloned().collect()
    }

    /// Follows discovery until `stop`; an error of the source keeps the last set.
    pub(crate) async fn follow(
        self: Arc<Self>,
        discovery: Arc<dyn DiscoveryBackend>,
        stop: CancellationToken,
    ) {
        let mut updates = discovery.watch();
        let mut statuses = self.shared.changes.subscribe();
        let mut named: Arc<[Entry]> = Arc::default();
        let mut told_nobody = false;
        loop {
            let update = tokio::select! {
                update = updates.next() => update,
                // An engine that stayed because it answered may answer no longer.
                Ok(()) = statuses.changed() => {
                    if self.has_unnamed(&named) {
                        self.assign(&named, &self.unnamed_reachable(&named));
                    }
                    continue;
                }
                () = stop.cancelled() => break,
            };
            match update {
                Some(Ok(entries)) => {
                    named = entries;
                    let nobody = discovery.nobody().filter(|_| named.is_empty());
                    if !std::mem::replace(&mut told_nobody, nobody.is_some())
                        && let Some(words) = nobody
                    {
                        warn!("{words}");
                    }
                    let addresses = named.iter().map(Entry::to_string).collect();
                    self.named.store(Arc::new(addresses));
                    if self.shared.config.swarm.is_some() {
                        // Another manager may lead, or a node have another address: that says nothing
                        // of who left.
                        self.assign(&named, &HashSet::new());
                        continue;
                    }
                    let stay = self.not_left(&*discovery, &named).await;
                    self.note_departures(&named, &stay);
                    self.assign(&named, &stay);
                }
                Some(Err(error)) => warn!(%error, "discovery; the engines known so far stay"),
                None => {
                    // A watch is endless by contract; one that ends is opened again.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    updates = discovery.watch();
                }
            }
        }
        // The end of the manager is no news of its engines: they are let go without a line for each.
        for member in self.table.lock().members.values() {
            member.stop.cancel();
        }
    }

    /// Engines that discovery names no longer and that nobody took out: their registration ran out,
    /// or the store lost it. They stay as long as they answer.
    async fn not_left(&self, discovery: &dyn DiscoveryBackend, named: &[Entry]) -> HashSet<String> {
        let unnamed = self.unnamed_reachable(named);
        let asked = futures_util::stream::iter(unnamed)
            .map(async |address| {
                let entry = address.parse().ok()?;
                match discovery.has_left(&entry).await {
                    Ok(true) => None,
                    Ok(false) => {
                        warn!(address, "no longer registered, and still answers: it stays");
                        Some(address)
                    }
                    Err(error) => {
                        warn!(address, %error, "cannot ask why it is gone: it stays");
                        Some(address)
                    }
                }
            })
            .buffer_unordered(ASKED_AT_ONCE);
        asked.filter_map(std::future::ready).collect().await
    }

    /// Engines that answer and go all the same were taken out on purpose.
    fn note_departures(&self, named: &[Entry], stay: &HashSet<String>) {
        let unnamed = self.unnamed_reachable(named);
        for engine in self.list.load().iter() {
            let address = engine.view().address.to_string();
            if let Some(reference) = engine.reference()
                && unnamed.contains(&address)
                && !stay.contains(&address)
            {
                self.shared.keeping.depart(reference.id);
            }
        }
    }

    fn has_unnamed(&self, named: &[Entry]) -> bool {
        self.list.load().len() > named.len()
    }

    fn unnamed_reachable(&self, named: &[Entry]) -> HashSet<String> {
        let named: HashSet<String> = named.iter().map(Entry::to_string).collect();
        let list = self.list.load();
        let answering = list.iter().filter(|engine| engine.is_reachable());
        let addresses = answering.map(|engine| engine.view().address.to_string());
        addresses.filter(|address| !named.contains(address)).collect()
    }

    /// Makes the pool's engines exactly `entries`, and those of the others that are in `stay`.
    pub(crate) fn assign(&self, entries: &[Entry], stay: &HashSet<String>) {
        let mut table = self.table.lock();
        let wanted: HashMap<String, &Entry> =
            entries.iter().map(|entry| (entry.to_string(), entry)).collect();
        let mut left = Vec::new();
        table.members.retain(|address, member| {
            let stays = wanted.contains_key(address) || stay.contains(address);
            if !stays {
                info!(address, "engine leaves the pool");
                member.stop.cancel();
                left.push(member.engine.key());
            }
            stays
        });
        let spread = if wanted.len() > MANY { START_SPREAD } else { Duration::ZERO };
        for (address, entry) in wanted {
            if table.members.contains_key(&address) {
                continue;
            }
            table.last_key += 1;
            let fence = self.shared.config.election.fence().clone();
            let gate = Gate::new(move || fence.check().map(drop));
            let options = ClientOptions { gate: Some(gate), ..self.shared.config.engine.clone() };
            let client = EngineClient::new(engine_address(entry), options);
            let engine = Engine::new(EngineKey(table.last_key), client)
                .counting(&self.shared.metrics.failures);
            let engine = Arc::new(engine);
            let stop = CancellationToken::new();
            tokio::spawn(engine::run(
                Arc::clone(&engine),
                Arc::clone(&self.shared),
                stop.clone(),
                spread,
            ));
            table.members.insert(address, Member { engine, stop });
        }
        let mut list: Vec<_> =
            table.members.values().map(|member| Arc::clone(&member.engine)).collect();
        list.sort_by_cached_key(|engine| engine.address().to_string());
        self.list.store(Arc::new(list));
        // Each worker clears up after itself when it ends; what the engines held is free by then at
        // the latest, and now for whoever sees that they are gone.
        for key in left {
            self.shared.index.leave(key);
            self.shared.scheduler.remove(key);
        }
    }
}

fn engine_address(entry: &Entry) -> EngineAddress {
    match entry {
        Entry::Tcp { host, port } => EngineAddress::Tcp { host: host.clone(), port: *port },
        Entry::Unix { path } => EngineAddress::Unix(path.into()),
        Entry::Node { id, ip } => EngineAddress::Node { id: id.clone(), ip: *ip },
    }
}
