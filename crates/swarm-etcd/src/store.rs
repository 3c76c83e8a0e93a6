//! The port: `swarm_kv::KeyValue` for etcd.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use swarm_kv::{
    Expect, Guard, Item, KeyValue, Lease, Result, Revision, StoreError, StoreOptions, StoreUrl,
    Watch, Write,
};

use crate::client::Client;
use crate::{watch, write};

/// The port of an endpoint whose URL names none.
pub const DEFAULT_PORT: u16 = 2379;

/// etcd takes requests of 1.5 MiB as it comes; this leaves room for the key and the conditions.
const LARGEST: usize = 1 << 20;

/// A pool's store in etcd. Cheap to clone; clones share connections and token.
#[derive(Debug, Clone)]
pub struct Etcd {
    client: Arc<Client>,
}

impl Etcd {
    /// Reads the TLS files, and connects with the first call.
    pub fn open(url: &StoreUrl, options: &StoreOptions) -> Result<Self> {
        Ok(Self { client: Arc::new(Client::new(url, options)?) })
    }
}

#[async_trait]
impl KeyValue for Etcd {
    fn describe(&self) -> String {
        self.client.store.clone()
    }

    fn largest_value(&self) -> usize {
        LARGEST
    }

    async fn get(&self, key: &str) -> Result<Option<Item>> {
        Ok(self.client.key_value(key).await?.map(|kv| write::found(kv, key)))
    }

    async fn list(&self, directory: &str) -> Result<Vec<Item>> {
        let client = &self.client;
        match tokio::time::timeout(client.deadline, client.children(directory)).await {
            Ok(listing) => Ok(listing.map_err(|fault| client.error(fault))?.items),
            Err(_) => Err(StoreError::Unreachable {
                store: client.store.clone(),
                reason: format!("{directory} is longer than it sends in {:?}", client.deadline),
            }),
        }
    }

    async fn put(&self, write: Write) -> Result<Revision> {
        (self as &dyn KeyValue).check_size(&write.key, &write.value)?;
        self.client.write(write).await
    }

    async fn delete(&self, key: &str, expect: Expect, guard: Option<&Guard>) -> Result<()> {
        self.client.remove(key, expect, guard).await
    }

    fn watch(&self, directory: &str) -> Watch {
        watch::watch(Arc::clone(&self.client), directory)
    }

    async fn grant(&self, ttl: Duration) -> Result<Lease> {
        self.client.grant_lease(ttl).await
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        self.client.keep_lease(lease).await
    }

    async fn revoke(&self, lease: &Lease) -> Result<()> {
        self.client.end_lease(lease).await
    }

    async fn renewed_ago(&self, key: &str) -> Result<Option<Duration>> {
        self.client.lease_age(key).await
    }
}
