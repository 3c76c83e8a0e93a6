//! The swarm's nodes as a pool's engines: a source of them that nobody registers at.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use swarm_discovery::{DiscoveryBackend, DiscoveryError, Entry, EntryStream, Registration};
use swarm_kv::StoreError;
use tokio::sync::watch;

use super::follow::Sight;

/// Why it does not say how nodes are.
const NOT_LEADING: &str = "this manager does not lead the swarm";
/// What this is called in messages.
const NAME: &str = "the swarm's nodes";

/// The nodes of the swarm that this manager leads; none of another's.
#[derive(Debug)]
pub struct SwarmNodes(pub watch::Receiver<Sight>);

impl SwarmNodes {
    /// What is seen, where this manager leads.
    fn leading(&self) -> Result<watch::Ref<'_, Sight>, DiscoveryError> {
        let sight = self.0.borrow();
        if sight.since.is_some() {
            return Ok(sight);
        }
        Err(DiscoveryError::Store(StoreError::NotPrimary { reason: NOT_LEADING.to_owned() }))
    }
}

#[async_trait]
impl DiscoveryBackend for SwarmNodes {
    fn describe(&self) -> String {
        NAME.to_owned()
    }

    async fn fetch(&self) -> Result<Vec<Entry>, DiscoveryError> {
        Ok(self.0.borrow().entries.to_vec())
    }

    fn watch(&self) -> EntryStream {
        let start: (_, Option<Arc<[Entry]>>) = (self.0.clone(), None);
        Box::pin(stream::unfold(start, |(mut seen, told)| async move {
            loop {
                let entries = Arc::clone(&seen.borrow_and_update().entries);
                if told.as_ref() != Some(&entries) {
                    return Some((Ok(Arc::clone(&entries)), (seen, Some(entries))));
                }
                if seen.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }))
    }

    /// Whether the swarm has it no more; a node that has another address is still there.
    async fn has_left(&self, entry: &Entry) -> Result<bool, DiscoveryError> {
        let sight = self.leading()?;
        let is_there = |known: &Entry| matches!((known, entry), (Entry::Node { id, .. }, Entry::Node { id: asked, .. }) if id == asked);
        Ok(!sight.entries.iter().any(is_there))
    }

    async fn registration(&self, entry: &Entry) -> Result<Registration, DiscoveryError> {
        let sight = self.leading()?;
        let is_down = matches!(entry, Entry::Node { id, .. } if sight.down.contains(id));
        Ok(if is_down { Registration::Down } else { Registration::Fixed })
    }

    async fn register(&self, _: &Entry, _: Duration) -> Result<(), DiscoveryError> {
        Err(no_registration())
    }

    async fn deregister(&self, _: &Entry) -> Result<(), DiscoveryError> {
        Err(no_registration())
    }
}

fn no_registration() -> DiscoveryError {
    DiscoveryError::NoRegistration {
        url: NAME.to_owned(),
        hint: "nodes join a swarm with docker swarm join, and leave it with docker swarm leave",
    }
}
