//! The system as a whole (`/_ping`, `/version`, `/info`, `/events`, `/system/df`, `/auth`).

use async_trait::async_trait;
use swarm_docker::ApiVersion;

use crate::{Exchange, Reply, Result};

/// What a backend can speak now: the bounds of `/vX.Y` and the `Api-Version` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Oldest version accepted.
    pub oldest: ApiVersion,
    /// Newest version accepted; every engine in use can serve it.
    pub newest: ApiVersion,
}

/// The system port.
#[async_trait]
pub trait System: Send + Sync {
    /// The versions served now. Cheap: asked at every request.
    fn served(&self) -> Served;
    /// `GET /version`.
    async fn version(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /info`: the cluster's.
    async fn info(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /events`: every engine's, merged.
    async fn events(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /system/df`: united over the engines.
    async fn disk_usage(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /auth`: one engine checks the credentials with the registry.
    async fn auth(&self, exchange: Exchange) -> Result<Reply>;
}
