//! The writing side of a ledger: a few writes at a time, each object's in order, failures tried
//! again with growing pauses.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use swarm_kv::{Expect, Revision, StoreError, Write};
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::{debug, warn};

use super::{Ledger, Stored};

/// How many writes are under way at once: enough to hide a store's latency, few enough not to flood
/// it.
const AT_ONCE: usize = 16;
/// The pause after a first failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What became of one write.
enum Outcome {
    Done,
    /// It has changed again meanwhile, or somebody else's value stood there: once more, at once.
    Again,
    /// Once more, later.
    Later(StoreError),
}

/// Writes what is queued until the ledger is gone.
pub(super) async fn run<T: Stored>(
    ledger: Weak<Ledger<T>>,
    mut waiting: UnboundedReceiver<Arc<str>>,
) {
    let mut writing = FuturesUnordered::new();
    let mut pause = FIRST_PAUSE;
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
            Outcome::Done => pause = FIRST_PAUSE,
            Outcome::Again => {
                let _ = ledger.queue.send(id);
            }
            Outcome::Later(error) => {
                debug!(key = %ledger.key(&id), %error, "not stored; trying again");
                let (queue, wait) =
                    (ledger.queue.clone(), pause.mul_f64(1.0 + rand::random::<f64>() / 2.0));
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    let _ = queue.send(id);
                });
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

impl<T: Stored> Ledger<T> {
    /// Brings the store up to what is known of one object.
    async fn write(&self, id: &str) -> Outcome {
        let Some((value, revision, version)) = ({
            let table = self.table.lock();
            table.rows.get(id).map(|row| (row.value.clone(), row.revision, row.version))
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
                self.store.put(write).await.map(Some)
            }
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
