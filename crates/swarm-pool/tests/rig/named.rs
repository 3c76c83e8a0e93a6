//! A discovery source whose entries a test sets.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use swarm_discovery::{DiscoveryBackend, DiscoveryError, Entry, EntryStream};
use swarm_testkit::fleet::Engine;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

/// What the pool follows, changed at will.
#[derive(Debug, Clone)]
pub struct Named(Arc<watch::Sender<Arc<[Entry]>>>);

impl Named {
    pub fn of(engines: &[Arc<Engine>]) -> Self {
        let named = Self(Arc::new(watch::Sender::new(Arc::default())));
        named.set(engines.iter());
        named
    }

    pub fn set<'a>(&self, engines: impl Iterator<Item = &'a Arc<Engine>>) {
        self.set_addresses(engines.map(|engine| engine.address().to_string()));
    }

    pub fn set_addresses(&self, addresses: impl Iterator<Item = String>) {
        let entries = addresses.map(|address| address.parse().unwrap()).collect();
        self.0.send_replace(entries);
    }
}

#[async_trait]
impl DiscoveryBackend for Named {
    fn describe(&self) -> String {
        "the test".to_owned()
    }

    async fn fetch(&self) -> Result<Vec<Entry>, DiscoveryError> {
        Ok(self.0.borrow().to_vec())
    }

    fn watch(&self) -> EntryStream {
        Box::pin(WatchStream::new(self.0.subscribe()).map(Ok))
    }

    async fn register(&self, _: &Entry, _: Duration) -> Result<(), DiscoveryError> {
        Ok(())
    }

    async fn deregister(&self, entry: &Entry) -> Result<(), DiscoveryError> {
        self.0
            .send_modify(|named| *named = named.iter().filter(|e| *e != entry).cloned().collect());
        Ok(())
    }
}
