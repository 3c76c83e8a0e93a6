//! What services are given besides their image: secrets (`/secrets/*`) and configs (`/configs/*`).

use async_trait::async_trait;

use crate::{Exchange, Reply, Result};

/// The port of secrets.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// `GET /secrets`.
    async fn list_secrets(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /secrets/create`.
    async fn create_secret(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /secrets/{name}`: by id, name or unique id prefix.
    async fn inspect_secret(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `POST /secrets/{name}/update`: its labels.
    async fn update_secret(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `DELETE /secrets/{name}`.
    async fn remove_secret(&self, name: &str, exchange: Exchange) -> Result<Reply>;
}

/// The port of configs.
#[async_trait]
pub trait Configs: Send + Sync {
    /// `GET /configs`.
    async fn list_configs(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /configs/create`.
    async fn create_config(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /configs/{name}`: by id, name or unique id prefix.
    async fn inspect_config(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `POST /configs/{name}/update`: its labels.
    async fn update_config(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `DELETE /configs/{name}`.
    async fn remove_config(&self, name: &str, exchange: Exchange) -> Result<Reply>;
}
