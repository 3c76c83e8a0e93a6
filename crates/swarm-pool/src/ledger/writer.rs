//! The writing side of a ledger: a few writes at a time, each object's in order, failures tried
//! again with growing pauses.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use swarm_backoff::Backoff;
use swarm_kv::{Expect, Revision, StoreError, Write};
use swarm_model::Kept;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::Ledger;

/// How many writes are under way at once: enough to hide a store's latency, few enough not to flood
/// it.
const AT_ONCE: usize = 16;
/// The pause after a first failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How long a write whose answer was lost may still come to the store: much longer than any
/// adapter waits for an answer.
const LATE: Duration = Duration::from_mins(1);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What became of one write.
enum Outcome {
    Done,
    /// It has changed again meanwhile, or somebody else's value stood there: once more, at once.
    Again,
    /// Once more, later.
    Later(StoreError),
    /// It is gone from the store, and a lost write may yet bring it back: once more, then.
    Gone(Instant),
}

/// Writes what is queued until the ledger is gone.
pub(super) async fn run<T: Kept + Send + Sync + 'static>(
    ledger: Weak<Ledger<T>>,
    mut waiting: UnboundedReceiver<Arc<str>>,
) {
    let mut writing = FuturesUnordered::new();
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let (id, outcome) = tokio::select! {
            next = waiting.recv(), if writing.len() < AT_ONCE => {
                let Some(id) = next else { return };
                let ledger = Weak::clone(&ledger);
                writing.push(async move {
                    let outcome = match ledger.upgrade() {
                        Some(ledger) => ledger.write(&id).await,
                        None => Outcome::Done,
                    };
                    (id, outcome)
                });
                continue;
            }
            Some(ended) = writing.next(), if !writing.is_empty() => ended,
        };
        let Some(ledger) = ledger.upgrade() else { return };
        match outcome {
            Outcome::Done => backoff.reset(),
            Outcome::Again => {
                let _ = ledger.queue.send(id);
            }
            Outcome::Later(error) => {
                debug!(key = %ledger.key(&id), %error, "not stored; trying again");
                let (queue, wait) = (ledger.queue.clone(), backoff.step());
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    let _ = queue.send(id);
                });
            }
            Outcome::Gone(until) => {
                let ledger = Arc::downgrade(&ledger);
                tokio::spawn(async move {
                    tokio::time::sleep_until(until).await;
                    if let Some(ledger) = ledger.upgrade() {
                        ledger.look_again(&id);
                    }
                });
            }
        }
    }
}

impl<T: Kept + Send + Sync + 'static> Ledger<T> {
    /// Brings the store up to what is known of one object.
    async fn write(&self, id: &str) -> Outcome {
        let Some((value, revision, version, late)) = ({
            let table = self.table.lock();
            let row = table.rows.get(id);
            row.map(|row| (row.value.clone(), row.revision, row.version, row.late))
        }) else {
            return Outcome::Done;
        };
        let key = self.key(id);
        let guard = match (self.guard)() {
            Ok(guard) => guard,
            Err(error) => return self.ended_with(id, version, Err(error)),
        };
        let expect = revision.map_or(Expect::Absent, Expect::Revision);
        let result = match value {
            Some(value) => {
                let write = Write::new(&*key, value.to_json());
                let write = write.expecting(expect).guarded(guard.as_ref());
                let written = self.store.put(write).await;
                if revision.is_none() && written.as_ref().is_err_and(StoreError::is_passing) {
                    self.may_come_late(id);
                }
                written.map(Some)
            }
            None if revision.is_none() && late.is_some() => match self.store.get(&key).await {
                Ok(Some(item)) => return self.believe(id, Some(item.revision)),
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            },
            None if revision.is_none() => Ok(None),
            None => self.store.delete(&key, expect, guard.as_ref()).await.map(|()| None),
        };
        let result = match result {
            // A write of ours whose answer was lost, or one of an earlier primary's on its way when
            // it ended: what is wanted now is known here.
            Err(StoreError::Conflict { .. }) => match self.store.get(&key).await {
                Ok(item) => return self.believe(id, item.map(|item| item.revision)),
                Err(error) => Err(error),
            },
            result => result,
        };
        self.ended_with(id, version, result)
    }

    fn ended_with(
        &self,
        id: &str,
        version: u64,
        result: Result<Option<Revision>, StoreError>,
    ) -> Outcome {
        let outcome = self.note(id, version, result);
        self.ended.send_modify(|count| *count += 1);
        outcome
    }

    fn may_come_late(&self, id: &str) {
        if let Some(row) = self.table.lock().rows.get_mut(id) {
            row.late = Some(Instant::now() + LATE);
        }
    }

    /// Has a deleted object looked for in the store once more, unless it waits for a writer anyhow.
    fn look_again(&self, id: &Arc<str>) {
        let mut table = self.table.lock();
        if let Some(row) = table.rows.get_mut(id).filter(|row| row.value.is_none() && !row.queued) {
            row.queued = true;
            let _ = self.queue.send(Arc::clone(id));
        }
    }

    fn believe(&self, id: &str, revision: Option<Revision>) -> Outcome {
        let mut table = self.table.lock();
        let Some(row) = table.rows.get_mut(id) else { return Outcome::Done };
        row.revision = revision;
        Outcome::Again
    }

    fn note(
        &self,
        id: &str,
        version: u64,
        result: Result<Option<Revision>, StoreError>,
    ) -> Outcome {
        let mut table = self.table.lock();
        // A table that was cleared and loaded again meanwhile knows better than this write.
        let old = version > 0 && version <= table.forgotten;
        let Some(row) = table.rows.get_mut(id).filter(|_| !old) else {
            return Outcome::Done;
        };
        match result {
            Ok(revision) => {
                row.revision = revision;
                row.stored = version;
                row.failed = None;
                if row.version > version {
                    return Outcome::Again;
                }
                row.queued = false;
                if row.value.is_none() {
                    if let Some(until) = row.late.filter(|until| *until > Instant::now()) {
                        return Outcome::Gone(until);
                    }
                    table.rows.remove(id);
                }
                Outcome::Done
            }
            Err(error) => {
                let first = row.failed.is_none();
                row.failed = Some((version, error.clone()));
                if first {
                    warn!(key = %self.key(id), %error, "the pool's store does not keep a change");
                }
                if matches!(error, StoreError::TooLarge { .. }) {
                    // It will not shrink by waiting; the next change is tried again.
                    row.queued = false;
                    return Outcome::Done;
                }
                Outcome::Later(error)
            }
        }
    }
}
