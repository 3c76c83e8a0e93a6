//! Image builds, classic and BuildKit (`/build*`, `/session`, `/grpc`).

use async_trait::async_trait;

use crate::{Exchange, Reply, Result};

/// The build port.
#[async_trait]
pub trait Builds: Send + Sync {
    /// `POST /build`: on one engine chosen by constraints and affinities in build args and labels;
    /// a BuildKit build goes where its session is.
    async fn build(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /build/cancel?id=`: on the engine that runs the build.
    async fn cancel_build(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /build/prune`: on every engine, results added up.
    async fn prune_builds(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /session` (h2c): pinned to one engine by its `X-Docker-Expose-Session-Uuid`.
    async fn session(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /grpc` (h2c): the engine's BuildKit control API.
    async fn grpc(&self, exchange: Exchange) -> Result<Reply>;
}
