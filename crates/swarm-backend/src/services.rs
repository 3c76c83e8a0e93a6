//! Services (`/services/*`), their tasks (`/tasks/*`), and what both wrote (`/services/{id}/logs`,
//! `/tasks/{id}/logs`).

use async_trait::async_trait;

use crate::{Exchange, Reply, Result};

/// The port of services.
#[async_trait]
pub trait Services: Send + Sync {
    /// `GET /services`.
    async fn list_services(&self, exchange: Exchange) -> Result<Reply>;
    /// `POST /services/create`.
    async fn create_service(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /services/{name}`: by id, name or unique id prefix.
    async fn inspect_service(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `POST /services/{name}/update`: another spec, or the one before.
    async fn update_service(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `DELETE /services/{name}`.
    async fn remove_service(&self, name: &str, exchange: Exchange) -> Result<Reply>;
}

/// The port of tasks.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// `GET /tasks`.
    async fn list_tasks(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /tasks/{name}`: by id, name or unique id prefix.
    async fn inspect_task(&self, name: &str, exchange: Exchange) -> Result<Reply>;
}

/// The port of what tasks wrote.
#[async_trait]
pub trait Logs: Send + Sync {
    /// `GET /services/{name}/logs`: of all its tasks, merged.
    async fn service_logs(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `GET /tasks/{name}/logs`.
    async fn task_logs(&self, name: &str, exchange: Exchange) -> Result<Reply>;
}
