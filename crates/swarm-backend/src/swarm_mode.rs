//! The swarm that a pool's engines may be the nodes of: what one huge engine has beside containers.

use async_trait::async_trait;
use bytes::Bytes;
use swarm_docker::Query;

use crate::{
    Configs, Exchange, Local, Logs, Nodes, Part, Pools, Reply, Result, Secrets, Services, Swarms,
    Tasks,
};

/// What is asked of the networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfNetworks<'a> {
    /// `GET /networks`.
    List,
    /// `POST /networks/create`.
    Create,
    /// `GET /networks/{name}`.
    Inspect(&'a str),
    /// `DELETE /networks/{name}`.
    Remove(&'a str),
}

/// The port of swarm mode as a whole.
#[async_trait]
pub trait SwarmMode:
    Swarms + Nodes + Pools + Services + Tasks + Logs + Secrets + Configs + std::fmt::Debug
{
    /// The part of the node that was asked. Cheap.
    fn swarm_part(&self) -> Part;

    /// `Swarm` of `GET /info` (API v1.24), in JSON.
    fn swarm_info(&self) -> Result<Bytes>;

    /// The answer to `GET /events` with this query, with the swarm's events among the engines'.
    fn with_events(&self, query: &Query, reply: Reply) -> Result<Reply>;

    /// The engines' networks, with the swarm's beside them.
    async fn networks_of(
        &self,
        asked: OfNetworks<'_>,
        exchange: Exchange,
        engines: &dyn Local,
    ) -> Result<Reply>;
}

/// Whether there is one.
pub trait InSwarm: Send + Sync {
    /// The swarm; `None` of a pool that is nothing more.
    fn swarm(&self) -> Option<&dyn SwarmMode> {
        None
    }
}
