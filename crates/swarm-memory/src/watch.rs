//! A watch: reads what changed whenever the store has news, tells a failure once, and begins anew
//! after one.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::stream;
use swarm_kv::{Change, Result, Watch};
use tokio::sync::watch;

use crate::memory::Shared;

struct Watching {
    shared: Arc<Shared>,
    directory: String,
    news: watch::Receiver<()>,
    /// What the watcher knows; `None` at the beginning and after a failure.
    since: Option<u64>,
    /// A failure that was told and is not over.
    failed: bool,
    /// Read and not yet told; at most what the machine remembers of changes.
    ready: VecDeque<Change>,
}

pub(crate) fn watch(shared: Arc<Shared>, directory: String) -> Watch {
    let news = shared.news();
    let ready = VecDeque::new();
    let begin = Watching { shared, directory, news, since: None, failed: false, ready };
    Box::pin(stream::unfold(begin, |mut watching| async move {
        let step = watching.next().await?;
        Some((step, watching))
    }))
}

impl Watching {
    async fn next(&mut self) -> Option<Result<Change>> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Some(Ok(change));
            }
            self.news.mark_unchanged();
            match self.shared.follow(&self.directory, self.since) {
                Ok(followed) => {
                    self.failed = false;
                    self.since = Some(followed.revision);
                    self.ready.extend(followed.changes);
                    if !self.ready.is_empty() {
                        continue;
                    }
                }
                Err(error) => {
                    self.since = None;
                    if !std::mem::replace(&mut self.failed, true) {
                        return Some(Err(error));
                    }
                }
            }
            // The sender lives as long as `shared`, which this holds: it cannot be gone.
            self.news.changed().await.ok()?;
        }
    }
}
