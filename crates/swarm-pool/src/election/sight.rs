//! What a manager that follows knows of the lock.

use swarm_kv::{Change, Item, Lease, StoreError};
use tracing::{debug, info, warn};

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
    /// A lease of ours that may still hold the lock.
    pub stale: Option<Lease>,
    /// The store fails; told once.
    failing: bool,
}

impl Seen {
    pub(super) fn nothing() -> Self {
        Self { lock: Sight::Unknown, stale: None, failing: false }
    }

    /// There is something to do but to wait for the holder.
    pub(super) fn due(&self) -> bool {
        self.stale.is_some() || self.lock.item().is_none()
    }

    pub(super) fn failed(&mut self, error: &StoreError) {
        if std::mem::replace(&mut self.failing, true) {
            debug!(%error, "the election waits for the store");
        } else {
            warn!(%error, "the election waits for the store");
        }
    }

    pub(super) fn well(&mut self) {
        if std::mem::take(&mut self.failing) {
            info!("the store answers again");
        }
    }

    /// Takes in what the watch shows of the lock at `key`.
    pub(super) fn note(&mut self, change: Result<Change, StoreError>, key: &str) {
        match change {
            Ok(change) => {
                self.well();
                if let Some(lock) = Sight::of(change, key) {
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
}
