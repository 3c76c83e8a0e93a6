//! Volumes (`/volumes/*`).

use async_trait::async_trait;

use serde_json::Value;

use crate::{ApiError, Exchange, Reply, Result};

/// The volume port.
#[async_trait]
pub trait Volumes: Send + Sync {
    /// `GET /volumes`: local ones as `node/name`.
    async fn list_volumes(&self, exchange: Exchange) -> Result<Reply>;
    /// `GET /volumes/{name}`: by `node/name` or name.
    async fn inspect_volume(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `POST /volumes/create`: on one engine for `node/name`, on every engine otherwise.
    async fn create_volume(&self, exchange: Exchange) -> Result<Reply>;
    /// `PUT /volumes/{name}`, which is for cluster volumes.
    async fn update_volume(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `DELETE /volumes/{name}`: wherever it is.
    async fn remove_volume(&self, name: &str, exchange: Exchange) -> Result<Reply>;
    /// `POST /volumes/prune`: on every engine, results added up.
    async fn prune_volumes(&self, exchange: Exchange) -> Result<Reply>;
}

/// Refuses what makes a cluster volume (`docker volume create --type`, `--scope`, `--sharing`, … send
/// `ClusterVolumeSpec`): an engine that is in no swarm of its own would speak of that instead.
pub fn refuse_cluster_volume(body: &[u8]) -> Result<()> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    if body.get("ClusterVolumeSpec").is_none_or(Value::is_null) {
        return Ok(());
    }
    let name = body.get("Name").and_then(Value::as_str).unwrap_or_default();
    Err(no_cluster_volumes(name))
}

/// What a request for a cluster volume is told.
pub fn no_cluster_volumes(name: &str) -> ApiError {
    ApiError::not_implemented(format!(
        "volume {name}: cluster volumes (CSI) are not there yet; use a volume with a driver that every \
         node has (docker volume create --driver)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_a_cluster_volume_is_refused_by_name() {
        let sent = br#"{"Name":"disk","Driver":"csi","ClusterVolumeSpec":{"AccessMode":{}}}"#;
        let refused = refuse_cluster_volume(sent).unwrap_err();
        assert_eq!(refused.status(), 501);
        assert!(refused.message.starts_with("volume disk: cluster volumes (CSI)"), "{refused:?}");
        for body in [&br#"{"Name":"disk","ClusterVolumeSpec":null}"#[..], b"{}", b"", b"no JSON"] {
            refuse_cluster_volume(body).unwrap();
        }
    }
}
