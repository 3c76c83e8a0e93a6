//! The node's link with the leader: found, kept, and found again.
//!
//! Reading order: [`dial`] (how a manager is reached), `leader` (which one leads), `link` (what is said
//! while it lasts), [`describe`] (what the node says of itself).
//!
//! Invariants: tasks go on while nobody answers; the latest word on each task is said again on each new
//! link; nothing waits for a leader that does not read.

pub mod describe;
pub mod dial;
mod leader;
mod link;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use swarm_rpc::{clock, v1};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::executor::Shared;
use crate::executor::worker::Command;
use dial::Dial;
use swarm_backoff::Backoff;

/// After a link broke, or all managers refused: short, since until then nobody hears of failed tasks.
const FIRST: Duration = Duration::from_millis(50);
/// An election takes about a second.
const MOST: Duration = Duration::from_secs(1);
/// Without a leader for so long, somebody should know why.
const LONG: Duration = Duration::from_secs(10);

/// What a session needs, and whom it tells.
pub(crate) struct Session {
    pub shared: Arc<Shared>,
    pub dial: Arc<dyn Dial>,
    /// Addresses of managers; the session writes what the leader says.
    pub managers: watch::Sender<Vec<String>>,
    /// JSON of the node's description; `None` until the engine has answered once.
    pub description: watch::Receiver<Option<Bytes>>,
    pub wishes: watch::Sender<Option<v1::Wish>>,
    /// The leader's address while there is a link.
    pub leader: watch::Sender<Option<String>>,
    /// Why there has been none for long.
    pub lost: watch::Sender<Option<String>>,
    pub commands: mpsc::Sender<Command>,
    /// Ends the link, so that another is made: with new certificates.
    pub renew: Arc<Notify>,
    /// Takes leave of the leader, and ends.
    pub parting: CancellationToken,
}

impl Session {
    /// Runs for as long as it is polled.
    pub(crate) async fn run(mut self) {
        // Only fails when nobody describes the node any more, which is the end of the agent.
        if self.description.wait_for(Option::is_some).await.is_err() {
            return;
        }
        let mut backoff = Backoff::new(FIRST, MOST);
        let mut managers = self.managers.subscribe();
        let (mut last, mut since) = (None, Instant::now());
        loop {
            let addresses = managers.borrow_and_update().clone();
            match leader::find(&self.dial, &addresses, last.as_deref(), &self.hello()).await {
                Ok(open) => {
                    backoff.reset();
                    tracing::info!(leader = open.address, "linked with the leader");
                    last = Some(open.address.clone());
                    self.leader.send_replace(last.clone());
                    self.lost.send_replace(None);
                    let why = self.keep(open).await;
                    self.leader.send_replace(None);
                    if self.parting.is_cancelled() {
                        return;
                    }
                    tracing::warn!(reason = why, "the link with the leader is over");
                    since = Instant::now();
                }
                Err(error) => self.tell_lost(since, error),
            }
            tokio::select! {
                () = self.parting.cancelled() => return,
                () = backoff.wait() => {}
                _ = managers.changed() => {}
            }
        }
    }

    /// The leader that this node has lost is looked for since `since`: once that is long, why it is not
    /// found is told.
    fn tell_lost(&self, since: Instant, words: String) {
        if since.elapsed() < LONG {
            tracing::debug!(reason = words, "no leader is found");
            return;
        }
        // Which manager was asked first is no news.
        let is_told = self.lost.borrow().is_some();
        if !is_told {
            tracing::warn!(reason = words, "no leader is found; tasks go on");
        }
        self.lost.send_replace(Some(words));
    }

    fn hello(&self) -> v1::Hello {
        let description = self.description.borrow().clone().unwrap_or_default();
        v1::Hello { description, roots: self.dial.roots(), now: clock() }
    }
}
