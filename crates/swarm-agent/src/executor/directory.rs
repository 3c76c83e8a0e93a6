//! Which container a task has, for whoever waits for it (logs) or hears of it (events).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use swarm_model::Id;
use tokio::sync::{Notify, watch};

/// A task here.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Has its runner look again.
    pub wake: Arc<Notify>,
    /// Its container's id, once there is one.
    pub container: watch::Receiver<Option<Arc<str>>>,
    /// Whether it has a terminal.
    pub terminal: bool,
}

/// All tasks here.
#[derive(Debug, Default)]
pub struct Directory {
    entries: Mutex<HashMap<Id, Entry>>,
}

impl Directory {
    /// A task, if it is here.
    pub fn get(&self, task: &str) -> Option<Entry> {
        self.entries.lock().get(task).cloned()
    }

    /// Something happened to a task's container.
    pub fn wake(&self, task: &str) {
        if let Some(entry) = self.entries.lock().get(task) {
            entry.wake.notify_one();
        }
    }

    /// Anything may have happened.
    pub fn wake_all(&self) {
        for entry in self.entries.lock().values() {
            entry.wake.notify_one();
        }
    }

    pub(super) fn insert(&self, task: Id, entry: Entry) {
        self.entries.lock().insert(task, entry);
    }

    pub(super) fn remove(&self, task: &str) {
        self.entries.lock().remove(task);
    }
}
