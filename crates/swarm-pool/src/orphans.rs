//! Creates whose outcome is not known, because the engine vanished before it answered.
//!
//! The client was told of a failure, or the container was made elsewhere. Should the engine have
//! made it after all, it is removed when the engine is read again — if it was never started:
//! then nobody knows of it, and it holds a name.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::engine::{Container, EngineKey};

/// How many are remembered; a pool in such trouble has other worries than a stray container.
const REMEMBERED: usize = 4_096;

/// The notes.
#[derive(Debug, Default)]
pub struct Orphans {
    by_swarm_id: Mutex<HashMap<String, EngineKey>>,
}

impl Orphans {
    /// The create with this `com.docker.swarm.id` may have happened on `engine`.
    pub fn add(&self, swarm_id: &str, engine: EngineKey) {
        let mut notes = self.by_swarm_id.lock();
        if notes.len() < REMEMBERED {
            notes.insert(swarm_id.to_owned(), engine);
        }
    }

    /// Is this container one of them? A note is used once.
    pub fn claim(&self, engine: EngineKey, container: &Container) -> bool {
        let Some(swarm_id) = container.swarm_id() else { return false };
        let mut notes = self.by_swarm_id.lock();
        if notes.get(swarm_id) != Some(&engine) {
            return false;
        }
        notes.remove(swarm_id);
        container.is_fresh()
    }

    /// Nothing is noted: the usual case, told cheaply.
    pub fn is_empty(&self) -> bool {
        self.by_swarm_id.lock().is_empty()
    }
}
