//! The port under the replica: the replicated store, as swarm mode needs it.

use std::fmt::Debug;

use async_trait::async_trait;
use swarm_kv::{Revision, StoreError};
pub use swarm_store::Leadership;
use swarm_store::{Followed, Transaction};
use tokio::sync::watch;

/// A manager of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number; [`swarm_model::Node::member`] of its node.
    pub id: u64,
    /// Where the others reach it.
    pub address: String,
    /// Whether it leads.
    pub leads: bool,
    /// Whether it counts towards the quorum.
    pub votes: bool,
    /// Whether it answers now.
    pub reachable: bool,
}

/// The replicated store.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// What is here now of all keys that begin with `prefix` and changed after `since`; everything
    /// for `None`. Never waits.
    fn follow_all(&self, prefix: &str, since: Option<u64>) -> Followed;
    /// Told after each change of what is here.
    fn news(&self) -> watch::Receiver<()>;
    /// Waits until what is here contains all that was answered anywhere before; an error without a
    /// quorum.
    async fn barrier(&self) -> Result<(), StoreError>;
    /// Makes several changes together, through whoever leads.
    async fn transact(&self, transaction: Transaction) -> Result<Revision, StoreError>;
    /// Who leads.
    fn leadership(&self) -> watch::Receiver<Leadership>;
    /// This manager's own number.
    fn own(&self) -> u64;
    /// All managers.
    async fn members(&self) -> Vec<Member>;
    /// Takes a manager out. Refused where the others would be without a quorum.
    async fn remove_member(&self, id: u64) -> Result<(), StoreError>;
}
