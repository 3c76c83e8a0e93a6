//! Images (`/images/*`, `/distribution/*`).

use async_trait::async_trait;

use crate::{Effect, Exchange, Reply, Result};

/// The image port.
#[async_trait]
pub trait Images: Send + Sync {
    /// `GET /images/json`: one entry per image id, the names of all engines united; `node=` filter.
    async fn list_images(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /images/create?fromImage=|fromSrc=`: pull or import on every matching engine, with one
    /// merged progress stream.
    async fn create_image(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /images/load`: the body goes to every engine at once.
    async fn load_images(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /images/get?names=` : from one engine that has them all.
    async fn save_images(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /images/search`: one engine asks the registry.
    async fn search_images(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /images/prune`: on every engine, results added up.
    async fn prune_images(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /images/{name}/json|history|get`, `POST /images/{name}/push`: one engine that has it.
    async fn forward_image(&self, name: &str, exchange: Exchange, effect: Effect) -> Result<Reply>;
    /// `POST /images/{name}/tag`: on every engine that has it.
    async fn tag_image(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `DELETE /images/{name}`: on every engine that has it, results united.
    async fn remove_image(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `GET /distribution/{name}/json`: one engine asks the registry.
    async fn distribution(&self, name: &str, exchange: Exchange) -> Result<Reply>;
}
