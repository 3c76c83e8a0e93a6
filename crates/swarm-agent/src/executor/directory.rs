//! Which container a task has, for whoever waits for it (logs) or hears of it (events).
//!
//! Invariants: what happened to a container is kept until its runner has taken it, also while that does
//! something else.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;
use swarm_model::Id;
use tokio::sync::{Notify, watch};

/// What the engine tells of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Happened {
    /// It was started.
    Start = 1,
    /// It ended.
    Die = 2,
    /// Something else, or what is not known.
    Other = 4,
}

/// All that happened since it was last taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct News(u8);

impl News {
    /// Whether that is among it.
    pub fn has(self, happened: Happened) -> bool {
        self.0 & happened as u8 != 0
    }
}

/// Wakes the runner of a task.
#[derive(Debug, Default)]
pub struct Wake {
    news: AtomicU8,
    notify: Notify,
}

impl Wake {
    /// Something happened.
    pub fn tell(&self, happened: Happened) {
        self.news.fetch_or(happened as u8, Ordering::AcqRel);
        self.notify.notify_one();
    }

    /// What happened; it is not told again.
    pub fn take(&self) -> News {
        News(self.news.swap(0, Ordering::AcqRel))
    }

    /// Waits until something happened, or had since the last wait.
    pub async fn told(&self) {
        self.notify.notified().await;
    }
}

/// A task here.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Tells its runner what happened.
    pub wake: Arc<Wake>,
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
    pub fn wake(&self, task: &str, happened: Happened) {
        if let Some(entry) = self.entries.lock().get(task) {
            entry.wake.tell(happened);
        }
    }

    /// Anything may have happened.
    pub fn wake_all(&self) {
        for entry in self.entries.lock().values() {
            entry.wake.tell(Happened::Other);
        }
    }

    pub(super) fn insert(&self, task: Id, entry: Entry) {
        self.entries.lock().insert(task, entry);
    }

    pub(super) fn remove(&self, task: &str) {
        self.entries.lock().remove(task);
    }
}
