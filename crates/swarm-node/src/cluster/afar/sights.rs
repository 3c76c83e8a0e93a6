//! What is on the engines, kept up as the leader tells it.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use super::known::Known;
use super::{Lines, SILENCE, with_each_leader};
use crate::cluster::forward::Forwarder;
use crate::node::Node;

/// See the module.
#[derive(Debug, Default)]
pub struct Afar {
    known: Mutex<Known>,
    news: watch::Sender<u64>,
}

/// Forgets all of it when nobody looks any more: it would be old when somebody does.
struct WhileLookedAt(Arc<Afar>);

impl Drop for WhileLookedAt {
    fn drop(&mut self) {
        *self.0.known.lock() = Known::default();
    }
}

impl Afar {
    /// What is known. The lock is to be held for a look only.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }

    /// Another number after each change.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Keeps it up for as long as it is polled.
    pub async fn run(self: Arc<Self>, node: Arc<Node>, forwarder: Forwarder) {
        let _looked_at = WhileLookedAt(Arc::clone(&self));
        with_each_leader(&node, |leader| {
            let (afar, forwarder) = (&self, &forwarder);
            async move {
                let Err(why) = afar.follow(forwarder, &leader).await;
                tracing::debug!(leader, why, "the leader does not tell of the engines");
                afar.changed(|known| known.fail(why));
            }
        })
        .await;
    }

    async fn follow(
        &self,
        forwarder: &Forwarder,
        leader: &str,
    ) -> Result<std::convert::Infallible, String> {
        let mut lines = Lines::ask(&forwarder.client(leader), "/pool/sights").await?;
        self.known.lock().begin();
        loop {
            let line = lines.next(Some(SILENCE)).await?;
            if line.is_empty() {
                continue;
            }
            let line = serde_json::from_slice(&line);
            let line = line.map_err(|error| format!("it told what is not understood: {error}"))?;
            self.changed(|known| known.take(line));
        }
    }

    fn changed(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock());
        self.news.send_modify(|count| *count += 1);
    }
}
