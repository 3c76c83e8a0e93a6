//! Placeholder until the resource lands.
use crate::Pool;
use async_trait::async_trait;
use swarm_backend::{ApiError, Effect, Exchange, Plugins, Reply, Result};
#[async_trait]
impl Plugins for Pool {
    async fn list_plugins(&self, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("list_plugins"))
    }
    async fn install_plugin(&self, _exchange: Exchange, _effect: Effect) -> Result<Reply> {
        Err(ApiError::not_implemented("install_plugin"))
    }
    async fn forward_plugin(
        &self,
        _name: &str,
        _exchange: Exchange,
        _effect: Effect,
    ) -> Result<Reply> {
        Err(ApiError::not_implemented("forward_plugin"))
    }
}
