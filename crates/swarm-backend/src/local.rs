//! This node's own engine, and its part in a swarm.

use async_trait::async_trait;

use crate::{Exchange, Reply, Result, Served};

/// A node's part in a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// It is in none.
    #[default]
    Inactive,
    /// It begins one, or joins.
    Pending,
    /// It is a worker.
    Worker,
    /// It is a manager.
    Manager,
    /// It waits for the unlock key.
    Locked,
    /// It could not begin, join or go on.
    Error,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Inactive, Self::Pending, Self::Worker, Self::Manager, Self::Locked, Self::Error];

    /// The value of the header `Swarm` of `/_ping` (API v1.42).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "active/worker",
            Self::Manager => "active/manager",
            other => other.state(),
        }
    }

    /// `Swarm.LocalNodeState` of `/info`.
    pub fn state(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Worker | Self::Manager => "active",
            Self::Locked => "locked",
            Self::Error => "error",
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

    /// `GET /events`: the engine's, and on a manager the swarm's among them.
    async fn node_events(&self, exchange: Exchange) -> Result<Reply>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_docker_s_words() {
        let words: Vec<_> = Part::ALL.map(|part| (part.as_str(), part.state())).to_vec();
        assert_eq!(
            words,
            [
                ("inactive", "inactive"),
                ("pending", "pending"),
                ("active/worker", "active"),
                ("active/manager", "active"),
                ("locked", "locked"),
                ("error", "error"),
            ]
        );
    }
}
