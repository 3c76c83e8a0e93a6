//! What tests may do to a running manager: its ways to the others and its disk. There is none of it in what is
//! shipped.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::embedded::Embedded;

impl Embedded {
    /// From now on this manager reaches none of `others`; with none it reaches all again. What they
    /// send it still arrives: a partition is cut on both sides.
    pub fn cut(&self, others: &[u64]) {
        self.core.peers.cut(others);
    }

    /// Waits until this manager has asked for votes so many times more, each manager counted.
    pub async fn asks_for_votes(&self, more: u64) {
        let mut stood = self.core.peers.stood.subscribe();
        let enough = *stood.borrow_and_update() + more;
        // The sender is in `self`.
        let _ = stood.wait_for(|count| *count >= enough).await;
    }

    /// From now on this manager's disk takes no writes, as one that is full; or it takes them again.
    pub fn fill_disk(&self, full: bool) {
        self.core.disk.fill(full);
    }

    /// From now on each write to this manager's disk takes at least so long.
    pub fn slow_disk(&self, each: Duration) {
        self.core.disk.slow(each);
    }

    /// Bytes that came from a leader and wait for this manager's disk.
    pub fn waiting_for_disk(&self) -> usize {
        self.core.waiting.load(Ordering::SeqCst)
    }
}
