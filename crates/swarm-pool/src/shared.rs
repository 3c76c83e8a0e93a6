//! What all engines' workers and the API share: settings, the index, the event hub, and who owns
//! which engine id.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};

use crate::config::PoolConfig;
use crate::credentials::Credentials;
use crate::engine::EngineKey;
use crate::events::EventHub;
use crate::held::HeldNames;
use crate::index::Index;
use crate::keeper::{Keeper, Moves};
use crate::ledger::GuardSource;
use crate::metrics::Metrics;
use crate::orphans::Orphans;
use crate::placed::Reasons;
use crate::scheduler::Scheduler;
use crate::state::{State, StoreConfig};

/// How many engines are set up at the same time: enough to keep both ends busy, few enough that
/// the first answers are read before the last are asked.
const SETUPS_AT_ONCE: usize = 64;
/// Shared state.
#[derive(Debug)]
pub struct Shared {
    /// Settings.
    pub config: PoolConfig,
    /// Where containers are.
    pub index: Arc<Index>,
    /// Where events meet.
    pub events: EventHub,
    /// Who owns which engine id.
    pub identities: Identities,
    /// Turns at setting up an engine.
    pub setups: Semaphore,
    /// Where containers go.
    pub scheduler: Arc<Scheduler>,
    /// Counts changes of engines' status.
    pub changes: watch::Sender<u64>,
    /// Counts what changed for those who look on.
    pub sights: watch::Sender<u64>,
    /// Why containers are where they are.
    pub placed: Reasons,
    /// Creates of unknown outcome.
    pub orphans: Orphans,
    /// Names of pool-wide networks being made.
    pub networks: HeldNames,
    /// What is kept in the pool's store.
    pub state: State,
    /// Wakes the keeper: something is not as it is wanted.
    pub keeper: Notify,
    /// The keeper's memory.
    pub keeping: Keeper,
    /// How often the keeper did what.
    pub moves: Moves,
    /// What is counted beside that.
    pub metrics: Metrics,
    /// What clients lent for pulls.
    pub credentials: Credentials,
    /// Addresses of engines that are given no containers, where a swarm says so.
    pub paused: ArcSwap<HashSet<String>>,
}

impl Shared {
    /// State of a new pool.
    pub fn new(config: PoolConfig, store: StoreConfig, guard: &GuardSource) -> Self {
        Self {
            state: State::new(store, guard),
            keeper: Notify::new(),
            keeping: Keeper::new(),
            moves: Moves::default(),
            metrics: Metrics::default(),
            credentials: Credentials::default(),
            paused: ArcSwap::default(),
            scheduler: Arc::new(Scheduler::new(&config)),
            changes: watch::Sender::new(0),
            sights: watch::Sender::new(0),
            placed: Reasons::default(),
            orphans: Orphans::default(),
            networks: HeldNames::default(),
            config,
            index: Arc::default(),
            events: EventHub::default(),
            identities: Identities::default(),
            setups: Semaphore::new(SETUPS_AT_ONCE),
        }
    }

    /// Something that is shown has changed: those who look on are woken once `note` has the number
    /// of this change.
    pub fn seen_of(&self, note: impl FnOnce(u64)) {
        self.sights.send_modify(|count| {
            *count += 1;
            note(*count);
        });
    }

    /// Something that is shown has changed.
    pub fn seen(&self) {
        self.seen_of(|_| ());
    }
}

/// Which address holds which engine id: two engines with one id would count every container
/// twice.
#[derive(Debug, Default)]
pub struct Identities {
    owners: Mutex<HashMap<String, (EngineKey, String)>>,
}

impl Identities {
    /// Takes `id` for an engine; the error is the address that holds it.
    pub fn claim(&self, id: &str, engine: EngineKey, address: &str) -> Result<(), String> {
        let mut owners = self.owners.lock();
        match owners.get(id) {
            Some((owner, at)) if *owner != engine => Err(at.clone()),
            _ => {
                owners.insert(id.to_owned(), (engine, address.to_owned()));
                Ok(())
            }
        }
    }

    /// Gives `id` back, if `engine` holds it.
    pub fn release(&self, id: &str, engine: EngineKey) {
        let mut owners = self.owners.lock();
        if owners.get(id).is_some_and(|(owner, _)| *owner == engine) {
            owners.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_id_has_one_owner_at_a_time() {
        let identities = Identities::default();
        let (first, second) = (EngineKey(1), EngineKey(2));
        assert_eq!(identities.claim("ID", first, "a:1"), Ok(()));
        assert_eq!(identities.claim("ID", first, "a:1"), Ok(()), "claiming again is the same");
        assert_eq!(identities.claim("ID", second, "b:1"), Err("a:1".to_owned()));
        identities.release("ID", second);
        assert!(identities.claim("ID", second, "b:1").is_err(), "only the owner releases");
        identities.release("ID", first);
        assert_eq!(identities.claim("ID", second, "b:1"), Ok(()));
    }
}
