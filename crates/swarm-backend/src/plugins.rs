//! Engine plugins (`/plugins/*`): managed plugins live on one engine each.

use async_trait::async_trait;

use crate::{Effect, Exchange, Reply, Result};

/// The plugin port.
#[async_trait]
pub trait Plugins: Send + Sync {
    /// `GET /plugins`: every engine's, names as `node/name`.
    async fn list_plugins(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /plugins/privileges`, `POST /plugins/pull`, `POST /plugins/create`: one engine asks, or
    /// every engine installs.
    async fn install_plugin(&self, exchange: Exchange, effect: Effect) -> Result<Reply>;
    /// Anything about one plugin, on the engines that have it.
    async fn forward_plugin(&self, name: &str, exchange: Exchange, effect: Effect)
    -> Result<Reply>;
}
