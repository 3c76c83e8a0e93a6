//! The system as a whole (`/_ping`, `/version`, `/info`, `/events`, `/system/df`, `/auth`).

use async_trait::async_trait;
use swarm_docker::ApiVersion;

use crate::{Exchange, Reply, Result};

/// What a backend can speak now: the bounds of `/vX.Y` and the `Api-Version` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Oldest version accepted.
    pub oldest: ApiVersion,
    /// Newest version announced; every engine in use can serve it.
    pub newest: ApiVersion,
    /// Newest version accepted: above `newest` where it was announced until a moment ago and a
    /// client may still go by that. It gets what `newest` is.
    pub promised: ApiVersion,
}

/// The builder a client uses when its user names none (`Builder-Version` of `/_ping`, API v1.38).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BuilderVersion {
    /// The classic builder, as engines up to 22 announce.
    #[default]
    Classic,
    /// BuildKit, as engines from 23 on announce.
    BuildKit,
}

impl BuilderVersion {
    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "1",
            Self::BuildKit => "2",
        }
    }
}

/// The system port.
#[async_trait]
pub trait System: Send + Sync {
    /// The versions served now. Cheap: asked at every request.
    fn served(&self) -> Served;
    /// The builder to announce; every engine in use must announce it. Cheap, as `served`.
    fn builder_version(&self) -> BuilderVersion {
        BuilderVersion::Classic
    }
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
