//! A watch of the embedded store: begins with what a linearizable read would show, follows what is
//! applied here, tells once that the store cannot be relied on, and begins again when it can.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use swarm_kv::{Change, Result, Watch};
use tokio::sync::watch;

use crate::core::Core;

/// Pauses between attempts to begin.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

struct Watching {
    core: Arc<Core>,
    directory: String,
    news: watch::Receiver<()>,
    health: watch::Receiver<Option<String>>,
    /// What the watcher knows; `None` at the beginning and after a failure.
    since: Option<u64>,
    /// A failure that was told and is not over.
    failed: bool,
    pause: Duration,
    /// Read and not yet told; at most what the machine remembers of changes.
    ready: VecDeque<Change>,
}

pub(crate) fn watch(core: Arc<Core>, directory: String) -> Watch {
    let begin = Watching {
        news: core.state.news(),
        health: core.health.subscribe(),
        core,
        directory,
        since: None,
        failed: false,
        pause: PAUSE.0,
        ready: VecDeque::new(),
    };
    Box::pin(stream::unfold(begin, |mut watching| async move {
        let step = watching.next().await;
        Some((step, watching))
    }))
}

impl Watching {
    async fn next(&mut self) -> Result<Change> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            if self.since.is_none() {
                if let Err(error) = self.core.linearize().await {
                    if !std::mem::replace(&mut self.failed, true) {
                        return Err(error);
                    }
                    tokio::time::sleep(self.pause.mul_f64(rand::random_range(0.7..1.0))).await;
                    self.pause = (self.pause * 2).min(PAUSE.1);
                    continue;
                }
                self.pause = PAUSE.0;
                self.failed = false;
                self.health.mark_unchanged();
            }
            self.news.mark_unchanged();
            let directory = &self.directory;
            let followed = self.core.state.read(|machine| machine.follow(directory, self.since));
            self.since = Some(followed.revision);
            self.ready.extend(followed.changes);
            if !self.ready.is_empty() {
                continue;
            }
            // Neither sender can be gone: both are in `core`.
            tokio::select! {
                _ = self.news.changed() => {}
                _ = self.health.changed() => {
                    let ill = self.health.borrow_and_update().clone();
                    if let Some(reason) = ill {
                        self.since = None;
                        self.failed = true;
                        return Err(self.core.able().err().unwrap_or_else(|| self.core.unreachable(reason)));
                    }
                }
            }
        }
    }
}
