//! The swarm's nodes as a pool's engines: a source of them that nobody registers at.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use swarm_discovery::{DiscoveryBackend, DiscoveryError, Entry, EntryStream};
use tokio::sync::watch;

use super::follow::Sight;

/// What this is called in messages.
const NAME: &str = "the swarm's nodes";

/// The nodes of the swarm that this manager leads; none of another's.
#[derive(Debug)]
pub struct SwarmNodes(pub watch::Receiver<Sight>);

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
