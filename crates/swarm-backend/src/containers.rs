//! Containers and the processes run in them (`/containers/*`, `/exec/*`).

use async_trait::async_trait;

use crate::{Exchange, Reply, Result};

/// What a forwarded request does to its object; decides deadlines and what is read back after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Reads once; the engine must answer within the request deadline.
    Reads,
    /// Changes the object: its state is read back after.
    Changes,
    /// Runs as long as the client or the engine wants (logs, attach, wait, archive, events).
    Streams,
}

/// The container port.
#[async_trait]
pub trait Containers: Send + Sync {
    /// `GET /containers/json`: query `all`, `limit`, `size`, `filters`.
    async fn list_containers(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /containers/create`: query `name`, `platform`; the body is the container's
    /// configuration; the header `X-Registry-Auth` is used for a pull.
    async fn create_container(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /containers/{name}/json`: the engine's answer with `Node` added.
    async fn inspect_container(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `POST /containers/{name}/rename?name=`: unique over the pool.
    async fn rename_container(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `POST /containers/{name}/exec`: remembers which engine the new exec lives on.
    async fn create_exec(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// Any other request about one container, on the engine that has it.
    async fn forward_container(
        &self,
        name: &str,
        exchange: Exchange,
        effect: Effect,
    ) -> Result<Reply>;
    /// `/exec/{id}/start|resize|json`, on the engine that has it.
    async fn forward_exec(&self, id: &str, exchange: Exchange, effect: Effect) -> Result<Reply>;
    /// `POST /containers/prune`: on every engine, results added up.
    async fn prune_containers(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /commit?container=`: on the container's engine.
    async fn commit_container(&self, exchange: Exchange) -> Result<Reply>;
}
