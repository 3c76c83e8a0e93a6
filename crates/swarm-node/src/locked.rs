//! Keeps a manager's two keys on disk, its own and its store's, as the swarm wishes them: sealed under
//! the unlock key of the moment, or plain where managers are not locked.
//!
//! Two files cannot be replaced at once. So that a loss of power between them leaves no pair of which
//! no key opens both, the order is: the store's key under the key before and the next one (plain, if
//! either is none); then the node's key under the next one; then the store's key under that alone.
//!
//! It acts only on what a quorum has agreed on: a manager that has just started may know an older key.

use std::sync::Arc;
use std::time::Duration;

use swarm_ca::UnlockKey;
use swarm_ca::unlock::UnlockError;
use swarm_kv::StoreError;
use swarm_manager::replica::Replica;
use swarm_raft::{Embedded, StoreLock};
use tokio::time::sleep;

use crate::identity::{Own, OwnError};

/// What the store's lock is made for.
const STORE: &str = "swarm store key";
/// A pause after what failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Why the keys are not as the swarm wishes them.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The swarm's unlock key.
    #[error("the swarm's unlock key cannot be used: {0}")]
    Key(#[from] UnlockError),
    /// The store, or its key.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node's key.
    #[error(transparent)]
    Own(#[from] OwnError),
}

/// The lock of the store's key that belongs to this unlock key.
pub(crate) fn store_lock(key: Option<&UnlockKey>) -> Result<Option<StoreLock>, UnlockError> {
    key.map(|key| key.derive(STORE).map(StoreLock::new)).transpose()
}

/// Follows the swarm's wish; until it is dropped.
pub(crate) async fn keep_locked(own: Own, store: Arc<Embedded>, replica: Arc<Replica>) {
    let feed = replica.feed();
    loop {
        match once(&own, &store, &replica).await {
            Ok(()) => loop {
                let touched = feed.changed().await;
                if touched.whole || touched.cluster {
                    break;
                }
            },
            Err(LockError::Store(error)) if error.is_passing() => {
                tracing::debug!(%error, "whether this manager is to be locked is asked again soon");
                sleep(PAUSE).await;
            }
            Err(error) => {
                tracing::warn!(%error, "this manager's keys are not locked as the swarm wishes");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Has the keys as the swarm wishes them now.
pub(crate) async fn once(own: &Own, store: &Embedded, replica: &Replica) -> Result<(), LockError> {
    replica.fresh().await?;
    let wished = replica.read(|tables| tables.cluster.as_ref().map(|it| it.unlock_key.clone()));
    // A manager that has joined a moment ago may not have the swarm's objects.
    let Some(wished) = wished else { return Ok(()) };
    let next = wished.map(|key| UnlockKey::parse(key.reveal())).transpose()?;
    let before = own.lock_key();
    let text = |key: &Option<UnlockKey>| key.as_ref().map(UnlockKey::to_text);
    let is_new = text(&before) != text(&next);
    let last: Vec<_> = store_lock(next.as_ref())?.into_iter().collect();
    if is_new {
        let both = match (store_lock(before.as_ref())?, last.as_slice()) {
            (Some(before), [next]) => vec![before, next.clone()],
            _ => Vec::new(),
        };
        store.lock(both).await?;
        own.lock(next.clone()).await?;
    }
    store.lock(last).await?;
    if is_new {
        let locked = next.is_some();
        tracing::info!(locked, "this manager's keys on disk are kept as the swarm wishes");
    }
    Ok(())
}
