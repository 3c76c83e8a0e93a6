//! Volumes (`/volumes/*`).

use async_trait::async_trait;

use crate::{Exchange, Reply, Result};

/// The volume port.
#[async_trait]
pub trait Volumes: Send + Sync {
    /// `GET /volumes`: local ones as `node/name`.
    async fn list_volumes(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /volumes/{name}`: by `node/name` or name.
    async fn inspect_volume(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `POST /volumes/create`: on one engine for `node/name`, on every engine otherwise.
    async fn create_volume(&self, exchange: Exchange) -> Result<Reply>;
    /// `PUT /volumes/{name}` (cluster volumes of swarm mode).
    async fn update_volume(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `DELETE /volumes/{name}`: wherever it is.
    async fn remove_volume(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `POST /volumes/prune`: on every engine, results added up.
    async fn prune_volumes(&self, exchange: Exchange) -> Result<Reply>;
}
