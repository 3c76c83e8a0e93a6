//! The swarm's store as the cluster endpoint's pool uses it: what is wanted of containers is kept beside
//! the swarm's own objects, by whatever manager this node is at the moment.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use swarm_kv::{
    Expect, Guard, Item, KeyValue, Layout, Lease, Result, Revision, StoreError, Watch, Write,
};
use swarm_raft::{Embedded, LARGEST_VALUE};
use tokio::time::sleep;

use super::LOOK;
use crate::manager::Manager;
use crate::node::Node;

/// What this is called in messages.
const NAME: &str = "the swarm's store";
/// Beside `swarm/`, where the swarm's objects are.
const PLACE: &str = "cluster/nodes";

/// Where in it.
pub fn layout() -> Layout {
    Layout::new("", Some(PLACE))
}

/// The store, as long as this node is a manager.
#[derive(Debug)]
pub struct SwarmStore(pub Arc<Node>);

impl SwarmStore {
    fn store(&self) -> Result<Arc<Embedded>> {
        let manager = self.0.manager().map_err(|error| StoreError::Unreachable {
            store: NAME.to_owned(),
            reason: error.message,
        })?;
        Ok(Arc::clone(manager.store()))
    }
}

/// Waits until this node is a manager.
pub async fn manager_of(node: &Node) -> Arc<Manager> {
    loop {
        match node.manager() {
            Ok(manager) if !manager.is_ended() => return manager,
            _ => sleep(LOOK).await,
        }
    }
}

#[async_trait]
impl KeyValue for SwarmStore {
    fn describe(&self) -> String {
        NAME.to_owned()
    }

    fn largest_value(&self) -> usize {
        LARGEST_VALUE
    }

    async fn get(&self, key: &str) -> Result<Option<Item>> {
        self.store()?.get(key).await
    }

    async fn list(&self, directory: &str) -> Result<Vec<Item>> {
        self.store()?.list(directory).await
    }

    async fn put(&self, write: Write) -> Result<Revision> {
        self.store()?.put(write).await
    }

    async fn delete(&self, key: &str, expect: Expect, guard: Option<&Guard>) -> Result<()> {
        self.store()?.delete(key, expect, guard).await
    }

    /// Says nothing while this node is no manager, and begins anew with each one that it is.
    fn watch(&self, directory: &str) -> Watch {
        let (node, directory) = (Arc::clone(&self.0), directory.to_owned());
        let one = move |()| {
            let (node, directory) = (Arc::clone(&node), directory.clone());
            async move {
                let manager = manager_of(&node).await;
                let watch = manager.store().watch(&directory);
                Some((watch.take_until(async move { manager.ended().await }), ()))
            }
        };
        Box::pin(stream::unfold((), one).flatten())
    }

    async fn grant(&self, ttl: Duration) -> Result<Lease> {
        self.store()?.grant(ttl).await
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        self.store()?.renew(lease).await
    }

    async fn revoke(&self, lease: &Lease) -> Result<()> {
        self.store()?.revoke(lease).await
    }

    async fn renewed_ago(&self, key: &str) -> Result<Option<Duration>> {
        self.store()?.renewed_ago(key).await
    }
}
