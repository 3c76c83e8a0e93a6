//! Placeholder until the resource lands.
use crate::Pool;
use async_trait::async_trait;
use swarm_backend::{ApiError, Effect, Exchange, Images, Reply, Result};
#[async_trait]
impl Images for Pool {
    async fn list_images(&self, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("list_images"))
    }
    async fn create_image(&self, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("create_image"))
    }
    async fn load_images(&self, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("load_images"))
    }
    async fn save_images(&self, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("save_images"))
    }
    async fn search_images(&self, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("search_images"))
    }
    async fn prune_images(&self, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("prune_images"))
    }
    async fn forward_image(
        &self,
        _name: &str,
        _exchange: Exchange,
        _effect: Effect,
    ) -> Result<Reply> {
        Err(ApiError::not_implemented("forward_image"))
    }
    async fn tag_image(&self, _name: &str, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("tag_image"))
    }
    async fn remove_image(&self, _name: &str, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("remove_image"))
    }
    async fn distribution(&self, _name: &str, _exchange: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("distribution"))
    }
}
