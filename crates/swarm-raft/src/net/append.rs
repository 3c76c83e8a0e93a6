//! The leader's log and heartbeats, as they are given to the library here. They are answered once the disk has
//! all that came before.
//!
//! Invariants: a disk that takes nothing keeps no connection waiting, since the leader calls again ten times a
//! second; what waits for it is bounded: the library takes in whatever it is given, also the same again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use tokio::time::timeout;

use super::serve::{stopped, stuck};
use super::wire::Fault;
use crate::core::Core;
use crate::journal::weight;
use crate::kinds::Kinds;

/// How long the disk may take to have what the leader sends; the leader waits no longer.
const LIMIT: Duration = Duration::from_secs(2);
/// The same where it is known to take nothing: what comes is seen here all the same.
const STUCK: Duration = Duration::from_millis(50);
/// What the library may have been given and not answered, in bytes: one call is at most half of it.
const WAITING: usize = 8 << 20;
/// What a call without entries takes, in bytes, and some.
const CALL: usize = 1 << 10;

/// A call that the library has not answered.
struct UnderWay {
    waiting: Arc<AtomicUsize>,
    size: usize,
}

impl UnderWay {
    /// `None` where too much waits already.
    fn begin(waiting: &Arc<AtomicUsize>, size: usize) -> Option<Self> {
        let room = |now: usize| now.checked_add(size).filter(|then| *then <= WAITING);
        waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, room).ok()?;
        Some(Self { waiting: Arc::clone(waiting), size })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.size, Ordering::SeqCst);
    }
}

/// Takes in what the leader sends.
pub(super) async fn append(
    core: &Core,
    rpc: AppendEntriesRequest<Kinds>,
) -> Result<AppendEntriesResponse<Kinds>, Fault> {
    let is_stuck = core.disk.trouble().is_some();
    let leader = rpc.vote.leader_id.node_id;
    let agreed = rpc.leader_commit.map_or(0, |commit| commit.index);
    let limit = if is_stuck { STUCK } else { LIMIT };
    let is_news = !is_stuck
        || core.leader() != Some(leader)
        || core.fed.load(Ordering::Relaxed) < agreed
        || rpc.entries.last().is_some_and(|last| Some(last.log_id.index) > core.last_index());
    let size = CALL + rpc.entries.iter().map(weight).sum::<usize>();
    let under_way = if is_news { UnderWay::begin(&core.waiting, size) } else { None };
    let answered = match under_way {
        // What waits for the disk would only become more.
        None => None,
        Some(under_way) => {
            core.fed.store(agreed, Ordering::Relaxed);
            let raft = core.raft.clone();
            // It goes on being under way when nobody waits for it any more.
            let asked = tokio::spawn(async move {
                let answered = raft.append_entries(rpc).await;
                drop(under_way);
                answered
            });
            timeout(limit, asked).await.ok()
        }
    };
    let response = answered.transpose().map_err(stopped)?.transpose().map_err(stopped)?;
    let is_heard = match &response {
        Some(response) => response.is_success(),
        None => core.leader() == Some(leader),
    };
    if is_heard {
        core.heard.store(core.state.now().max(1), Ordering::Relaxed);
    }
    response.ok_or_else(stuck)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_may_wait_and_what_was_answered_makes_room() {
        let waiting = Arc::default();
        let half = || UnderWay::begin(&waiting, WAITING / 2);
        let (first, second) = (half().unwrap(), half().unwrap());
        assert!(UnderWay::begin(&waiting, CALL).is_none());
        drop(first);
        assert!(half().is_some_and(|third| UnderWay::begin(&third.waiting, CALL).is_none()));
        drop(second);
        assert_eq!(waiting.load(Ordering::SeqCst), 0);
        assert!(UnderWay::begin(&waiting, usize::MAX).is_none());
    }
}
