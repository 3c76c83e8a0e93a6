//! Taking the lock, once.
//!
//! The order is what makes a manager that pauses anywhere harmless:
//! 1. a lease, counted from before it was asked for;
//! 2. the epoch is read, *before* the lock is taken;
//! 3. the lock, if nobody has it, bound to the lease;
//! 4. the epoch is counted up, if it is still as read and the lock still ours.
//!
//! Whoever became primary after step 2 has counted the epoch up, so that step 4 fails for everybody
//! who read it earlier, however late they come to it. From step 4 on the epoch's revision guards
//! every write, and the next primary's step 4 ends that. A failure at any step gives the lease
//! back and begins at step 1: nothing is taken up where it was left.

use std::sync::Arc;
use std::time::Duration;

use swarm_kv::{Expect, Guard, Item, KeyValue, Lease, Revision, StoreError, Write};

use super::boottime::Clock;
use super::fence::Mandate;
use super::role::Epoch;

/// What to take, and as whom.
#[derive(Debug)]
pub(super) struct Lock {
    pub store: Arc<dyn KeyValue>,
    pub leader: String,
    pub epoch: String,
    /// What is written into the lock.
    pub value: String,
    pub ttl: Duration,
    pub clock: Arc<dyn Clock>,
}

/// A lock that was taken.
#[derive(Debug)]
pub(super) struct Tenure {
    pub lease: Lease,
    /// When the call that granted it was begun.
    pub begun: Duration,
    pub mandate: Mandate,
    /// The lock's.
    revision: Revision,
}

/// Why it was not.
#[derive(Debug)]
pub(super) enum Missed {
    /// Somebody else was faster; the watch will tell who.
    Taken(Lease),
    /// The store failed; with the lease that may still hold the lock.
    Failed(Option<Lease>, StoreError),
}

impl Lock {
    /// One attempt; at most four calls of the store.
    pub(super) async fn take(&self) -> Result<Tenure, Missed> {
        let begun = self.clock.now();
        let lease = match self.store.grant(self.ttl).await {
            Ok(lease) => lease,
            Err(error) => return Err(Missed::Failed(None, error)),
        };
        match self.take_with(&lease).await {
            Ok((mandate, revision)) => Ok(Tenure { lease, begun, mandate, revision }),
            Err(StoreError::Conflict { .. } | StoreError::Fenced { .. }) => {
                Err(Missed::Taken(lease))
            }
            Err(error) => Err(Missed::Failed(Some(lease), error)),
        }
    }

    async fn take_with(&self, lease: &Lease) -> Result<(Mandate, Revision), StoreError> {
        let before = self.store.get(&self.epoch).await?;
        let number = self.number(before.as_ref())?;
        let lock = Write::new(&*self.leader, self.value.clone());
        let lock = self.store.put(lock.expecting(Expect::Absent).leased(lease)).await?;
        let expect = before.map_or(Expect::Absent, |item| Expect::Revision(item.revision));
        let ours = Guard { key: self.leader.clone(), revision: lock };
        let epoch = Epoch(number.saturating_add(1));
        let count = Write::new(&*self.epoch, epoch.0.to_string()).expecting(expect);
        let revision = self.store.put(count.guarded(Some(&ours))).await?;
        let guard = Guard { key: self.epoch.clone(), revision };
        Ok((Mandate { epoch, guard: Some(guard) }, lock))
    }

    /// How many primaries there were.
    fn number(&self, epoch: Option<&Item>) -> Result<u64, StoreError> {
        let Some(item) = epoch else { return Ok(0) };
        std::str::from_utf8(&item.value).ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
            StoreError::Garbage {
                store: self.store.describe(),
                kind: "pool's",
                reason: format!(
                    "{} holds no number; if nothing but this pool uses the prefix, delete that key",
                    self.epoch
                ),
            }
        })
    }

    /// Who has the lock now.
    pub(super) async fn holder(&self) -> Result<Option<Item>, StoreError> {
        self.store.get(&self.leader).await
    }

    /// Whether this is the lock as `tenure` took it.
    pub(super) fn is_ours(&self, found: Option<&Item>, tenure: &Tenure) -> bool {
        found.is_some_and(|item| {
            item.revision == tenure.revision && *item.value == *self.value.as_bytes()
        })
    }

    /// The directory to watch.
    pub(super) fn directory(&self) -> &str {
        self.leader.rsplit_once('/').map_or("", |(directory, _)| directory)
    }
}
