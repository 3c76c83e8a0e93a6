//! Placeholder until the resource lands.
use swarm_backend::{ApiError, Exchange, Reply, Result};
impl crate::Pool {
    pub(super) async fn usage(&self, _: Exchange) -> Result<Reply> {
        Err(ApiError::not_implemented("usage"))
    }
}
