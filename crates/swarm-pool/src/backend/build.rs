//! Placeholder until the resource lands.
use crate::Pool;
use async_trait::async_trait;
use swarm_backend::{ApiError, Builds, Effect, Exchange, Reply, Result};
#[async_trait]
impl Builds for Pool {
    async fn build(&self, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("build"))
    }
    async fn cancel_build(&self, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("cancel_build"))
    }
    async fn prune_builds(&self, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("prune_builds"))
    }
    async fn session(&self, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("session"))
    }
    async fn grpc(&self, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("grpc"))
    }
}
#[derive(Debug, Default)]
pub(crate) struct Sessions;
