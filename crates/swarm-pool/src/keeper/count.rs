//! How often the keeper did what, for `docker info` and for whoever measures.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Why a container is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its engine failed or lost it.
    Failure,
    /// A person wants its engine empty.
    Drain,
    /// Another engine has more room.
    Rebalance,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Failure, Self::Drain, Self::Rebalance];

    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Drain => "drain",
            Self::Rebalance => "rebalance",
        }
    }
}

/// How attempts to move containers for one cause ended.
#[derive(Debug, Default)]
struct Ended {
    moved: AtomicU64,
    failed: AtomicU64,
}

/// Counts since this manager started.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// By the event's name.
    told: Mutex<BTreeMap<&'static str, u64>>,
    ended: [Ended; Cause::ALL.len()],
}

impl Moves {
    /// One more event.
    pub fn count(&self, action: &'static str) {
        *self.told.lock().entry(action).or_default() += 1;
    }

    /// All events.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        self.told.lock().clone()
    }

    /// A container moved.
    pub fn moved(&self, cause: Cause) {
        self.of(cause).moved.fetch_add(1, Ordering::Relaxed);
    }

    /// An attempt to move one failed.
    pub fn failed(&self, cause: Cause) {
        self.of(cause).failed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many moved, and how many attempts failed.
    pub fn ended(&self, cause: Cause) -> (u64, u64) {
        let ended = self.of(cause);
        (ended.moved.load(Ordering::Relaxed), ended.failed.load(Ordering::Relaxed))
    }

    fn of(&self, cause: Cause) -> &Ended {
        let [failure, drain, rebalance] = &self.ended;
        match cause {
            Cause::Failure => failure,
            Cause::Drain => drain,
            Cause::Rebalance => rebalance,
        }
    }
}
