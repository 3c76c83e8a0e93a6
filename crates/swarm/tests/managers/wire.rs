//! One manager's way to the store, that ends with the manager.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use swarm_kv::{Expect, Guard, Item, KeyValue, Lease, Result, Revision, StoreError, Watch, Write};
use swarm_memory::Memory;
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub struct Wire {
    pub store: Arc<Memory>,
    /// The manager is dead.
    pub dead: CancellationToken,
}

impl Wire {
    async fn call<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.dead.run_until_cancelled(call).await.unwrap_or_else(|| {
            let reason = "the manager is dead".to_owned();
            Err(StoreError::Unreachable { store: "wire".to_owned(), reason })
        })
    }
}

#[async_trait]
impl KeyValue for Wire {
    fn describe(&self) -> String {
        "wire".to_owned()
    }
    fn largest_value(&self) -> usize {
        self.store.largest_value()
    }
    async fn get(&self, key: &str) -> Result<Option<Item>> {
        self.call(self.store.get(key)).await
    }
    async fn list(&self, directory: &str) -> Result<Vec<Item>> {
        self.call(self.store.list(directory)).await
    }
    async fn put(&self, write: Write) -> Result<Revision> {
        self.call(self.store.put(write)).await
    }
    async fn delete(&self, key: &str, expect: Expect, guard: Option<&Guard>) -> Result<()> {
        self.call(self.store.delete(key, expect, guard)).await
    }
    fn watch(&self, directory: &str) -> Watch {
        self.store.watch(directory)
    }
    async fn grant(&self, ttl: Duration) -> Result<Lease> {
        self.call(self.store.grant(ttl)).await
    }
    async fn renew(&self, lease: &Lease) -> Result<()> {
        self.call(self.store.renew(lease)).await
    }
    async fn revoke(&self, lease: &Lease) -> Result<()> {
        self.call(self.store.revoke(lease)).await
    }
}
