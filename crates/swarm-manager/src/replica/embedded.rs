//! The replicated store on this manager's disk, as the replica's port.

use async_trait::async_trait;
use swarm_kv::{Revision, StoreError};
use swarm_raft::Embedded;
use swarm_store::{Followed, Transaction};
use tokio::sync::watch;

use super::store::{Leadership, Member, Store};

#[async_trait]
impl Store for Embedded {
    fn follow_all(&self, prefix: &str, since: Option<u64>) -> Followed {
        Self::follow_all(self, prefix, since)
    }

    fn news(&self) -> watch::Receiver<()> {
        Self::news(self)
    }

    async fn barrier(&self) -> Result<(), StoreError> {
        Self::barrier(self).await
    }

    async fn transact(&self, transaction: Transaction) -> Result<Revision, StoreError> {
        Self::transact(self, transaction).await
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        Self::leadership(self)
    }

    fn own(&self) -> u64 {
        self.id()
    }

    async fn members(&self) -> Vec<Member> {
        let members = Self::members(self).await.into_iter();
        let members = members.map(|member| Member {
            id: member.id,
            address: member.address,
            leads: member.is_leader,
            votes: member.is_voter,
            reachable: member.reachable,
        });
        members.collect()
    }

    async fn remove_member(&self, id: u64) -> Result<(), StoreError> {
        Self::remove_member(self, id).await
    }
}
