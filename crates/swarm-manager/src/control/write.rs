//! Changes: decided on what is here, written only if that still holds, decided anew where it does
//! not.

use std::time::Duration;

use http::StatusCode;
use rand::Rng as _;
use swarm_backend::Result;
use swarm_docker::ApiError;
use swarm_kv::StoreError;
use swarm_store::When;
use swarm_trace::Traced;
use tokio::time::Instant;

use super::{Control, NO_LEADER, failed};
use crate::replica::object::key_of;
use crate::replica::{Batch, Guard, Tables};

/// How long a change is tried while others change the same things.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(20);

/// The longest pause between attempts, in milliseconds.
const PAUSE: u64 = 10;

impl Control {
    /// Decides a change and writes it; again, while what it was decided on is changed by others.
    pub(super) async fn write<T>(
        &self,
        decide: impl FnMut(&Tables, &mut Batch) -> Result<T> + Send,
    ) -> Result<T> {
        let span = Traced::within("store write");
        let written = span.run(self.write_on(decide, &span)).await;
        if let Err(error) = &written {
            span.fail(error.status().as_str().to_owned(), error.message.as_str());
        }
        written
    }

    async fn write_on<T>(
        &self,
        mut decide: impl FnMut(&Tables, &mut Batch) -> Result<T> + Send,
        span: &Traced,
    ) -> Result<T> {
        let mut attempts = 0_i64;
        let until = Instant::now() + PATIENCE;
        loop {
            attempts += 1;
            span.set("swarm.store.attempts", attempts);
            let fresh = tokio::time::timeout(ATTEMPT, self.replica.fresh()).await;
            let stale = match fresh.map_err(|_| late())? {
                Ok(()) => None,
                // On a disk that takes no writes this copy may be old. What is written depends on what was
                // seen, wherever it is written.
                Err(error @ StoreError::Unwritable { .. }) => Some(error),
                Err(error) => return Err(failed(error)),
            };
            let mut batch = Batch::default();
            let decided = self.replica.read(|tables| decide(tables, &mut batch));
            let decided = match (decided, &stale) {
                (Err(refusal), Some(stale)) => return Err(perhaps(refusal, stale)),
                (decided, _) => decided?,
            };
            let written = tokio::time::timeout(ATTEMPT, self.replica.commit(batch)).await;
            match written.map_err(|_| late())? {
                Ok(()) => return Ok(decided),
                Err(StoreError::Conflict { .. }) if Instant::now() < until => {
                    if let Some(stale) = stale {
                        // It is, and does not get younger by another look.
                        return Err(failed(stale));
                    }
                    let pause = rand::rng().random_range(0..=PAUSE);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// A refusal by a copy that may be old. What is wrong by itself is wrong on every manager.
fn perhaps(refusal: ApiError, stale: &StoreError) -> ApiError {
    if refusal.status() == StatusCode::BAD_REQUEST {
        return refusal;
    }
    ApiError::unavailable(format!("{}; but {stale}", refusal.message))
}

fn late() -> ApiError {
    ApiError::unavailable(format!("{NO_LEADER} (no answer in {} s)", ATTEMPT.as_secs()))
}

/// Of all changes that are guarded by the table `kind`, this is the only one at this moment.
pub(super) fn guard(tables: &Tables, batch: &mut Batch, kind: &str) -> Result<()> {
    let guard = match tables.guards.get(kind) {
        Some(guard) => Guard::clone(guard),
        None => Guard { id: kind.into(), ..Guard::default() },
    };
    batch.put(&guard).map_err(failed)
}

/// No change that is guarded by the table `kind` is made meanwhile.
pub(super) fn unless_guarded(tables: &Tables, batch: &mut Batch, kind: &str) {
    match tables.guards.get(kind) {
        Some(guard) => batch.expect(&**guard),
        None => batch.fence(key_of::<Guard>(kind), When::Absent),
    }
}
