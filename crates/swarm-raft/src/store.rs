//! The store's calls, as the manager itself, its server and its watches make them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use swarm_kv::{Expect, Guard, Item, KeyValue, Lease, Result, Revision, StoreError, Watch, Write};
use swarm_store::{Command, Done, LARGEST_VALUE, Transaction};

use crate::core::Core;
use crate::members::RESERVED;
use crate::renewals::renew;
use crate::watch as watching;

/// The store as its own server and watches use it: a handle that keeps nothing running.
#[derive(Debug, Clone)]
pub(crate) struct Handle(pub Arc<Core>);

fn odd(core: &Core, done: &Done) -> StoreError {
    core.unreachable(format!("a write was answered with {done:?}"))
}

impl Handle {
    /// Makes several changes together, or none of them; the revision of what was written.
    pub async fn transact(&self, transaction: Transaction) -> Result<Revision> {
        let Transaction { expects, puts, deletes } = &transaction;
        for key in expects.iter().map(|(key, _)| key).chain(puts.iter().map(|(key, _)| key)) {
            self.own(key)?;
        }
        for key in deletes {
            self.own(key)?;
        }
        match self.0.propose(Command::Transact(transaction)).await? {
            Done::Written(revision) => Ok(Revision(revision)),
            other => Err(odd(&self.0, &other)),
        }
    }

    fn own(&self, key: &str) -> Result<()> {
        if key.starts_with(RESERVED) {
            return Err(self.0.refused("these keys are the store's own"));
        }
        Ok(())
    }
}

#[async_trait]
impl KeyValue for Handle {
    fn describe(&self) -> String {
        self.0.name.clone()
    }

    fn largest_value(&self) -> usize {
        LARGEST_VALUE
    }

    async fn get(&self, key: &str) -> Result<Option<Item>> {
        self.own(key)?;
        self.0.linearize().await?;
        Ok(self.0.state.read(|machine| machine.get(key)))
    }

    async fn list(&self, directory: &str) -> Result<Vec<Item>> {
        self.own(&format!("{directory}/"))?;
        self.0.linearize().await?;
        Ok(self.0.state.read(|machine| machine.list(directory)))
    }

    async fn put(&self, write: Write) -> Result<Revision> {
        self.own(&write.key)?;
        match self.0.propose(write.into()).await? {
            Done::Written(revision) => Ok(Revision(revision)),
            other => Err(odd(&self.0, &other)),
        }
    }

    async fn delete(&self, key: &str, expect: Expect, guard: Option<&Guard>) -> Result<()> {
        self.own(key)?;
        self.0.propose(Command::delete(key, expect, guard)).await.map(drop)
    }

    fn watch(&self, directory: &str) -> Watch {
        watching::watch(Arc::clone(&self.0), directory.to_owned())
    }

    async fn grant(&self, ttl: Duration) -> Result<Lease> {
        let (lease, command) = new_lease(ttl);
        self.0.propose(command).await?;
        Ok(lease)
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        renew(&self.0, lease.id.clone()).await
    }

    async fn revoke(&self, lease: &Lease) -> Result<()> {
        self.0.propose(Command::Revoke { lease: lease.id.clone() }).await.map(drop)
    }

    async fn renewed_ago(&self, key: &str) -> Result<Option<Duration>> {
        self.own(key)?;
        self.0.linearize().await?;
        let state = &self.0.state;
        Ok(state.read(|machine| machine.renewed_ago(key, state.now())))
    }
}

/// The most that is taken off a lease for the time in which managers choose a new leader.
const ELECTION_RESERVE: Duration = Duration::from_millis(1_200);

/// A lease with a name that nobody else can know. A leader that takes over gives every lease its
/// full time again; so that the lease of somebody who fell together with the leader is gone in
/// time all the same, it is made a little shorter than was asked for.
pub(crate) fn new_lease(ttl: Duration) -> (Lease, Command) {
    let id = swarm_store::lease_name(rand::random());
    let holds = ttl.saturating_sub(ELECTION_RESERVE.min(ttl / 4));
    let millis = u64::try_from(holds.as_millis()).unwrap_or(u64::MAX);
    let command = Command::Grant { lease: id.clone(), ttl: millis };
    (Lease { id, holds, gone_after: ttl }, command)
}
