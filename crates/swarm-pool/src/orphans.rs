//! Creates whose outcome is not known, because the engine vanished before it answered.
//!
//! The client was told of a failure, or the container was made elsewhere. Should the engine have
//! made it after all, it is removed when the engine is read again — if it was never started:
//! then nobody knows of it, and it holds a name.

use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::engine::{Container, EngineKey};

/// How many are remembered, the newest; a pool in such trouble has other worries than a stray
/// container.
const REMEMBERED: usize = 4_096;
/// How long one is remembered: an engine away for longer is looked at by a person.
const LIFETIME: Duration = Duration::from_hours(24);

/// The notes.
#[derive(Debug, Default)]
pub struct Orphans {
    /// Oldest first.
    by_swarm_id: Mutex<IndexMap<String, (EngineKey, Instant)>>,
}

impl Orphans {
    /// The create with this `com.docker.swarm.id` may have happened on `engine`.
    pub fn add(&self, swarm_id: &str, engine: EngineKey) {
        let mut notes = self.by_swarm_id.lock();
        notes.retain(|_, (_, since)| since.elapsed() < LIFETIME);
        if notes.len() >= REMEMBERED {
            notes.shift_remove_index(0);
        }
        notes.insert(swarm_id.to_owned(), (engine, Instant::now()));
    }

    /// Is this container one of them? A note is used once.
    pub fn claim(&self, engine: EngineKey, container: &Container) -> bool {
        let Some(swarm_id) = container.swarm_id() else { return false };
        let mut notes = self.by_swarm_id.lock();
        if notes.get(swarm_id).is_none_or(|(at, _)| *at != engine) {
            return false;
        }
        notes.shift_remove(swarm_id);
        container.is_fresh()
    }

    /// Something is noted of this engine: rarely, and told cheaply.
    pub fn concern(&self, engine: EngineKey) -> bool {
        self.by_swarm_id.lock().values().any(|(at, _)| *at == engine)
    }
}
