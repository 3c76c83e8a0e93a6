//! A pool's store in ZooKeeper (3.5 and newer): `swarm_kv::KeyValue` over znodes.
//!
//! - The key `a/b` is the znode `/a/b`; what stands above it is made when it is missing, empty, and
//!   is not shown as a key.
//! - Every write is one transaction that checks what was read just before it (`plan`, `write`):
//!   guard, expectation, value and binding to a lease happen as a whole or not at all.
//! - A lease is a session of its own, its keys are ephemeral znodes (`lease`). Everything else goes
//!   through one shared session that can be lost without harm (`session`).
//! - With `kv.username` and `kv.password` what is made is open to that user alone (digest scheme),
//!   without it is open to everybody.
//!
//! It leaves what is kept, and when to try again, to its users; only watches repeat by themselves.
//! Opening it touches nothing outside. ZooKeeper's TLS is not spoken: asking for it is refused.
//!
//! Invariants: every call ends within the deadline; the password is never shown; a transaction is
//! sent once.

mod access;
mod failure;
mod lease;
mod marks;
mod path;
mod plan;
mod read;
mod scout;
mod session;
mod watch;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use swarm_kv::{
    Expect, Guard, Item, KeyValue, Lease, Result, Revision, StoreOptions, StoreUrl, Watch, Write,
};

use crate::access::Access;
use crate::lease::Leases;
use crate::session::Shared;
use crate::write::{Failed, Target};

/// Where ZooKeeper listens for clients.
pub const DEFAULT_PORT: u16 = 2181;

/// The largest value, in bytes. ZooKeeper takes requests of at most `jute.maxbuffer`, which is
/// 0xfffff unless set: this leaves 16 KiB for the keys.
pub const LARGEST_VALUE: usize = 0xf_ffff - 16 * 1024;

/// A pool's store in ZooKeeper. Clones share sessions; leases end with the last clone.
#[derive(Clone)]
pub struct ZooKeeper {
    shared: Arc<Shared>,
    leases: Arc<Leases>,
}

impl ZooKeeper {
    /// Connects when first used.
    pub fn open(url: &StoreUrl, options: &StoreOptions) -> Result<Self> {
        let access = Arc::new(Access::new(url, options)?);
        Ok(Self {
            shared: Arc::new(Shared::new(Arc::clone(&access))),
            leases: Arc::new(Leases::new(access)),
        })
    }

    fn access(&self) -> &Access {
        &self.shared.access
    }

    fn znode(&self, key: &str) -> Result<String> {
        path::znode(key).map_err(|reason| self.access().words.refused(reason))
    }

    fn guard<'a>(&self, guard: Option<&'a Guard>) -> Result<Option<(&'a Guard, String)>> {
        guard.map(|guard| Ok((guard, self.znode(&guard.key)?))).transpose()
    }

    async fn put_shared(&self, target: Target<'_>, write: &Write) -> Result<Revision> {
        loop {
            let session = self.shared.session().await?;
            match write::put(self.access(), &session.client, target, write).await {
                Ok(revision) => return Ok(revision),
                Err(Failed::Told(error)) => return Err(error),
                Err(Failed::Reading(error)) => {
                    self.shared.again(&session, &error, target.key).await?;
                }
            }
        }
    }

    async fn put_leased(
        &self,
        target: Target<'_>,
        write: &Write,
        lease: &Lease,
    ) -> Result<Revision> {
        loop {
            let client = self.leases.client(lease)?;
            let done = match session::connected(&client).await {
                Ok(()) => write::put(self.access(), &client, target, write).await,
                Err(_) => Err(Failed::Reading(zookeeper_client::Error::SessionExpired)),
            };
            match done {
                Ok(revision) => return Ok(revision),
                Err(Failed::Told(error)) => return Err(error),
                Err(Failed::Reading(error)) => {
                    self.leases.again(lease, &error, target.key).await?;
                }
            }
        }
    }
}

impl fmt::Debug for ZooKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ZooKeeper").field(&self.describe()).finish()
    }
}

#[async_trait]
impl KeyValue for ZooKeeper {
    fn describe(&self) -> String {
        self.access().words.store.clone()
    }

    fn largest_value(&self) -> usize {
        LARGEST_VALUE
    }

    async fn get(&self, key: &str) -> Result<Option<Item>> {
        let znode = self.znode(key)?;
        let reading = async {
            loop {
                let session = self.shared.session().await?;
                match read::get(&session.client, key, &znode).await {
                    Ok(item) => return Ok(item),
                    Err(error) => self.shared.again(&session, &error, key).await?,
                }
            }
        };
        self.shared.in_time(reading).await
    }

    async fn list(&self, directory: &str) -> Result<Vec<Item>> {
        let znode =
            path::directory(directory).map_err(|reason| self.access().words.refused(reason))?;
        let reading = async {
            loop {
                let session = self.shared.session().await?;
                match read::list(&session.client, directory, &znode).await {
                    Ok(items) => return Ok(items),
                    Err(error) => self.shared.again(&session, &error, directory).await?,
                }
            }
        };
        self.shared.in_time(reading).await
    }

    async fn put(&self, write: Write) -> Result<Revision> {
        (self as &dyn KeyValue).check_size(&write.key, &write.value)?;
        let znode = self.znode(&write.key)?;
        let guard = self.guard(write.guard.as_ref())?;
        let guard = guard.as_ref().map(|(guard, znode)| (*guard, znode.as_str()));
        let target = Target { key: &write.key, znode: &znode, guard };
        match &write.lease {
            Some(lease) => self.leases.in_time(self.put_leased(target, &write, lease)).await,
            None => self.shared.in_time(self.put_shared(target, &write)).await,
        }
    }

    async fn delete(&self, key: &str, expect: Expect, guard: Option<&Guard>) -> Result<()> {
        let znode = self.znode(key)?;
        let guard = self.guard(guard)?;
        let guard = guard.as_ref().map(|(guard, znode)| (*guard, znode.as_str()));
        let target = Target { key, znode: &znode, guard };
        let deletion = async {
            loop {
                let session = self.shared.session().await?;
                match write::delete(self.access(), &session.client, target, expect).await {
                    Ok(()) => return Ok(()),
                    Err(Failed::Told(error)) => return Err(error),
                    Err(Failed::Reading(error)) => {
                        self.shared.again(&session, &error, key).await?;
                    }
                }
            }
        };
        self.shared.in_time(deletion).await
    }

    fn watch(&self, directory: &str) -> Watch {
        watch::watch(Arc::clone(&self.shared), directory)
    }

    async fn grant(&self, ttl: Duration) -> Result<Lease> {
        self.leases.in_time(self.leases.grant(ttl)).await
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        self.leases.in_time(self.leases.renew(lease)).await
    }

    async fn revoke(&self, lease: &Lease) -> Result<()> {
        self.leases.in_time(self.leases.revoke(lease)).await
    }
}

#[cfg(test)]
mod tests {
    use swarm_kv::Secret;

    use super::*;

    #[test]
    fn it_is_shown_without_its_password() {
        let options = StoreOptions {
            username: Some("me".into()),
            password: Some(Secret::new("opensesame")),
            ..StoreOptions::default()
        };
        let url = StoreUrl::parse("zk://a,b:1/x", DEFAULT_PORT).unwrap();
        let store = ZooKeeper::open(&url, &options).unwrap();
        assert_eq!(format!("{store:?}"), "ZooKeeper(\"zk://a:2181,b:1/x\")");
        assert!(!format!("{:?}", store.shared).contains("opensesame"));
    }
}
