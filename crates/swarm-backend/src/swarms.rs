//! The swarm as a whole (`/swarm/*`).

use async_trait::async_trait;

use crate::{Exchange, Reply, Result};

/// The port of the swarm.
#[async_trait]
pub trait Swarms: Send + Sync {
    /// `GET /swarm`.
    async fn inspect_swarm(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /swarm/init`: this node begins a swarm.
    async fn init_swarm(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /swarm/join`: this node becomes a part of one.
    async fn join_swarm(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /swarm/leave`.
    async fn leave_swarm(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /swarm/update`: its settings, its tokens.
    async fn update_swarm(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /swarm/unlockkey`.
    async fn unlock_key(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /swarm/unlock`.
    async fn unlock_swarm(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /swarm/backup`, this program's own: what a manager has, sealed.
    async fn backup_swarm(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /swarm/ways`, this program's own: whether this node and the managers reach each other.
    async fn swarm_ways(&self, exchange: Exchange) -> Result<Reply>;
}
