//! Networks as one node shows them (`/networks`): its own engine's, and the swarm's beside them.

use async_trait::async_trait;

use crate::{Exchange, Reply, Result};

/// The port of the networks that services are attached to. What is none of the swarm's is the
/// engine's.
#[async_trait]
pub trait Attachments: Send + Sync {
    /// `GET /networks`: the engine's and the swarm's.
    async fn list_networks(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /networks/create`.
    async fn create_network(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /networks/{name}`: by id, name or unique id prefix.
    async fn inspect_network(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `DELETE /networks/{name}`.
    async fn remove_network(&self, name: &str, exchange: Exchange) -> Result<Reply>;
}
