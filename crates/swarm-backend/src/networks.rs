//! Networks (`/networks/*`).

use async_trait::async_trait;

use crate::{Exchange, Reply, Result};

/// The network port.
#[async_trait]
pub trait Networks: Send + Sync {
    /// `GET /networks`: local ones as `node/name`, cluster-wide ones once.
    async fn list_networks(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /networks/{name}`: by id, id prefix, `node/name` or name.
    async fn inspect_network(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `POST /networks/create`: on one engine for `node/name`, on every engine otherwise.
    async fn create_network(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /networks/{name}/connect`: on the engine of the container in the body.
    async fn connect_network(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `POST /networks/{name}/disconnect`: likewise.
    async fn disconnect_network(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `DELETE /networks/{name}`: wherever it is.
    async fn remove_network(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `POST /networks/prune`: on every engine, results united.
    async fn prune_networks(&self, exchange: Exchange) -> Result<Reply>;
}
