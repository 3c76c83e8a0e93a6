//! The store as a manager of a swarm uses it: it reads what is here without waiting, is told of
//! changes and of who leads, and hands in the connections of other managers.

use std::sync::atomic::Ordering;

use openraft::async_runtime::watch::WatchReceiver as _;
use swarm_kv::{Result, StoreError};
use swarm_store::{Followed, Leadership};
use tokio::sync::watch;

use crate::embedded::Embedded;
use crate::key::StoreLock;
use crate::net;
use crate::transport::Stream;

impl Embedded {
    /// Answers another manager of the swarm, over a connection that was taken and whose other end
    /// was found to be one. Only for a store that was opened with [`crate::EmbeddedOptions::swarm`].
    pub fn take(&self, stream: Box<dyn Stream>) {
        if self.core.authority.is_none() {
            net::take(&self.core, stream);
        }
    }

    /// What is here now of all keys that begin with `prefix` and changed after `since`; everything
    /// for `None`. Never waits.
    pub fn follow_all(&self, prefix: &str, since: Option<u64>) -> Followed {
        self.core.state.read(|machine| machine.follow_all(prefix, since))
    }

    /// Told after each change of what is here.
    pub fn news(&self) -> watch::Receiver<()> {
        self.core.state.news()
    }

    /// Waits until what is here contains all that was answered anywhere before; an error without a
    /// quorum.
    pub async fn barrier(&self) -> Result<()> {
        self.core.linearize().await
    }

    /// Who leads. Told at once when another one does; one that leads and does not reach a quorum any
    /// more is told so after four times the election's length.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.core.leadership.subscribe()
    }

    /// From now on the store's key on disk opens with each of these; with none it is plain.
    pub async fn lock(&self, under: Vec<StoreLock>) -> Result<()> {
        let key = std::sync::Arc::clone(self.core.disk.key());
        let kept = tokio::task::spawn_blocking(move || key.keep(&under)).await;
        let kept = kept.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        kept.map_err(|error| StoreError::Refused {
            store: self.core.disk.shown(),
            reason: format!("its key cannot be kept: {error}"),
        })
    }

    /// From now on the log is cut into a snapshot after so many entries (or earlier, where it has
    /// grown large), and so many snapshots are kept beside the newest.
    pub fn keep_snapshots(&self, interval: u64, older: u64) {
        let size = |number| usize::try_from(number).unwrap_or(usize::MAX);
        self.core.state.keep_snapshots(size(interval), size(older));
    }

    /// From now on so many entries of the log stay behind a snapshot, for managers that were away for a
    /// moment: who is further behind is sent the whole state.
    pub fn keep_behind(&self, entries: u64) {
        self.core.state.keep_behind(entries);
    }

    /// Why this manager's disk does not take writes, while it does not.
    pub fn disk_trouble(&self) -> Option<String> {
        self.core.disk.trouble()
    }

    /// The first entry of the log that is still on this manager's disk.
    pub fn log_begins(&self) -> u64 {
        let metrics = self.core.raft.metrics();
        let purged = metrics.borrow_watched().purged;
        purged.map_or(0, |purged| purged.index + 1)
    }

    /// The whole state at this moment, for [`crate::import`].
    pub fn copy(&self) -> swarm_store::Snapshot {
        self.core.state.read(swarm_store::Machine::snapshot)
    }

    /// Whether the others took this manager out of their midst: nothing comes of it any more.
    pub fn is_removed(&self) -> bool {
        self.core.removed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
