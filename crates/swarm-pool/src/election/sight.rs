//! What a manager that follows knows of the lock.

use std::time::Duration;

use swarm_kv::{Change, Item, Lease, StoreError};
use tracing::{debug, info, warn};

/// Before the first second look at a lock that the watch has not shown; doubled with each.
const QUICK: Duration = Duration::from_millis(250);
/// How many of them there are: no watch is further behind than they take.
const QUICK_LOOKS: u32 = 4;

/// The lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    /// It was not read yet.
    Unknown,
    /// Nobody has it.
    Free,
    /// This is in it.
    Held(Item),
}

impl From<Option<Item>> for Sight {
    fn from(found: Option<Item>) -> Self {
        found.map_or(Self::Free, Self::Held)
    }
}

impl Sight {
    /// What a change of the directory says of the lock at `key`; `None` where it is about
    /// something else.
    pub(super) fn of(change: Change, key: &str) -> Option<Self> {
        match change {
            Change::Whole(items) => Some(items.into_iter().find(|item| item.key == key).into()),
            Change::Put(item) => (item.key == key).then_some(Self::Held(item)),
            Change::Deleted(deleted) => (deleted == key).then_some(Self::Free),
        }
    }

    /// What is in it.
    pub(super) fn item(&self) -> Option<&Item> {
        match self {
            Self::Held(item) => Some(item),
            Self::Unknown | Self::Free => None,
        }
    }
}

/// What a follower knows.
#[derive(Debug)]
pub(super) struct Seen {
    pub lock: Sight,
    /// What the watch showed last.
    shown: Sight,
    /// How often it was read since it last changed.
    looks: u32,
    /// A lease of ours that may still hold the lock.
    pub stale: Option<Lease>,
    /// How the store fails; told once.
    failing: Option<String>,
}

impl Seen {
    pub(super) fn nothing() -> Self {
        let (lock, shown) = (Sight::Unknown, Sight::Unknown);
        Self { lock, shown, looks: 0, stale: None, failing: None }
    }

    /// The lock was read.
    pub(super) fn looked(&mut self, found: Option<Item>) {
        self.well();
        let found = found.into();
        self.looks = if self.lock == found { self.looks.saturating_add(1) } else { 0 };
        self.lock = found;
    }

    /// When to read the lock again though the watch has not shown that it changed, at the latest
    /// after `longest`. A watch that tells several changes at once never shows a holder who came and
    /// went between two of its answers: a lock that it has not shown is read again soon.
    pub(super) fn second_look(&self, longest: Duration) -> Duration {
        if self.lock == self.shown || self.looks >= QUICK_LOOKS {
            return longest;
        }
        longest.min(QUICK * (1 << self.looks))
    }

    /// There is something to do but to wait for the holder.
    pub(super) fn due(&self) -> bool {
        self.stale.is_some() || self.lock.item().is_none()
    }

    pub(super) fn failed(&mut self, error: &StoreError) {
        if self.failing.replace(error.to_string()).is_some() {
            debug!(%error, "the election waits for the store");
        } else {
            warn!(%error, "the election waits for the store");
        }
    }

    pub(super) fn well(&mut self) {
        if self.failing.take().is_some() {
            info!("the store answers again");
        }
    }

    /// How the store fails, if it does.
    pub(super) fn failing(&self) -> Option<&str> {
        self.failing.as_deref()
    }

    /// Takes in what the watch shows of the lock at `key`.
    pub(super) fn note(&mut self, change: Result<Change, StoreError>, key: &str) {
        match change {
            Ok(change) => {
                self.well();
                if let Some(lock) = Sight::of(change, key) {
                    self.shown = lock.clone();
                    self.lock = lock;
                }
            }
            Err(error) => self.failed(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use swarm_kv::Revision;

    use super::*;

    #[test]
    fn only_what_is_about_the_lock_counts() {
        let item =
            |key: &str| Item { key: key.to_owned(), value: "a:1".into(), revision: Revision(1) };
        let mut seen = Seen::nothing();
        assert!(seen.due());
        seen.note(Ok(Change::Put(item("d/epoch"))), "d/leader");
        assert_eq!(seen.lock, Sight::Unknown);
        seen.note(Ok(Change::Whole(vec![item("d/epoch"), item("d/leader")])), "d/leader");
        assert_eq!(seen.lock, Sight::Held(item("d/leader")));
        assert!(!seen.due());
        seen.note(Err(StoreError::LeaseLost { id: String::new() }), "d/leader");
        seen.note(Ok(Change::Deleted("d/epoch".to_owned())), "d/leader");
        assert!(!seen.due(), "a store that fails has not given the lock away");
        seen.note(Ok(Change::Deleted("d/leader".to_owned())), "d/leader");
        assert_eq!(seen.lock, Sight::Free);
        seen.note(Ok(Change::Whole(vec![])), "d/leader");
        assert!(seen.due() && seen.lock == Sight::Free);
    }

    #[test]
    fn a_lock_that_the_watch_has_not_shown_is_read_again_soon_and_not_for_ever() {
        let item = Item { key: "leader".into(), value: "a:1".into(), revision: Revision(7) };
        let longest = Duration::from_secs(20);
        let mut seen = Seen::nothing();
        seen.note(Ok(Change::Whole(vec![])), "leader");
        assert_eq!(seen.second_look(longest), longest);
        let mut waits = Vec::new();
        for _ in 0..6 {
            seen.looked(Some(item.clone()));
            waits.push(seen.second_look(longest).as_millis());
        }
        assert_eq!(waits, [250, 500, 1_000, 2_000, 20_000, 20_000]);
        let other = Item { revision: Revision(8), ..item };
        seen.looked(Some(other.clone()));
        assert_eq!(seen.second_look(longest), QUICK);
        assert_eq!(seen.second_look(Duration::from_millis(100)), Duration::from_millis(100));
        seen.note(Ok(Change::Put(other)), "leader");
        assert_eq!(seen.second_look(longest), longest, "the watch has shown it");
    }
}
