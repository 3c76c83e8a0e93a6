//! What a manager that is connected to the engines tells those that are not, so that all of them show the
//! same: a stream of lines, everything first and then each change.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{ContainerSight, Exchange, NodeSight, Reply, Result, Waiting};

/// One line of `GET /pool/sights`, as JSON. An empty line only says that the other side lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SightLine {
    /// A node that is new or changed, with all that is on it. Of a task's container only what its engine
    /// knows, and the label that names the task: the rest is in the swarm's store.
    Node(Box<NodeSight>, Vec<ContainerSight>),
    /// The key of a node that is gone.
    Gone(String),
    /// What waits to be made anew, where that changed.
    Waiting(Vec<Waiting>),
    /// All of the beginning was told.
    Ready,
}

/// The port of managers that show what this one is connected to.
#[async_trait]
pub trait Sights: Send + Sync {
    /// `GET /pool/sights`: [`SightLine`]s for as long as the client reads.
    async fn sights(&self, exchange: Exchange) -> Result<Reply>;
}
