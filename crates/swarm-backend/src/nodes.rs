//! Nodes (`/nodes/*`), and the pool as a whole (`/pool/*`, this project's own).

use async_trait::async_trait;

use crate::{Exchange, Reply, Result};

/// The port of nodes.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// `GET /nodes`.
    async fn list_nodes(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /nodes/{name}`: by id, unique id prefix or name.
    async fn inspect_node(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `POST /nodes/{name}/update`: its availability.
    async fn update_node(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `DELETE /nodes/{name}`: out of the pool.
    async fn remove_node(&self, name: &str, exchange: Exchange) -> Result<Reply>;
}

/// The port of the pool as a whole.
#[async_trait]
pub trait Pools: Send + Sync {
    /// `POST /pool/rebalance`: the plan, and with `apply` what became of it, line by line.
    async fn rebalance(&self, exchange: Exchange) -> Result<Reply>;
}
