//! This node's own engine, and its part in a swarm.

use async_trait::async_trait;

use crate::{Exchange, Reply, Result, Served};

/// A node's part in a swarm (`Swarm` of `/_ping`, API v1.42; `LocalNodeState` of `/info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// It is in none.
    #[default]
    Inactive,
    /// It is a manager.
    Manager,
}

impl Part {
    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Manager => "active/manager",
        }
    }
}

/// The port of the engine that a node has.
#[async_trait]
pub trait Local: Send + Sync {
    /// What the engine serves.
    fn served(&self) -> Served;

    /// This node's part.
    fn part(&self) -> Part;

    /// A request that is the engine's own, as it came.
    async fn pass(&self, exchange: Exchange) -> Result<Reply>;

    /// `GET /info`: the engine's, with this node's part in the swarm.
    async fn node_info(&self, exchange: Exchange) -> Result<Reply>;
}
