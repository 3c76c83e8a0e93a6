//! Placeholder until the resource lands.
use crate::engine::Engine;
use swarm_backend::{ApiError, Result};
impl crate::Pool {
    pub(super) async fn pull_on(
        &self,
        _: &Engine,
        _: &str,
        _: &http::HeaderMap,
        _: Option<&str>,
    ) -> Result<()> {
        Err(ApiError::not_implemented("pull"))
    }
    pub(super) fn has_image(&self, _: &str) -> bool {
        false
    }
}
