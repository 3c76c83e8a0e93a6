//! The unlock key of a swarm whose managers are locked (autolock): `GET /swarm/unlockkey`, and what
//! `POST /swarm/update` makes of it (API v1.25; swarmkit `controlapi/cluster.go`). Each manager puts
//! its own disk under it.

use serde_json::json;
use swarm_backend::{Reply, Result};
use swarm_ca::UnlockKey;
use swarm_docker::ApiError;
use swarm_model::{Cluster, ClusterSpec, Secret};

use super::Control;
use super::cluster::no_swarm;

impl Control {
    /// `GET /swarm/unlockkey`; an empty key where managers are not locked, as Docker's.
    pub async fn unlock_key(&self) -> Result<Reply> {
        let cluster = self.look(|tables| tables.cluster.clone()).await.ok_or_else(no_swarm)?;
        let key = cluster.unlock_key.as_ref().map(Secret::reveal);
        Reply::ok(&json!({ "UnlockKey": key.unwrap_or_default() }))
    }
}

/// The key after this change: a new one when locking begins or it is to be rotated, none when it ends.
pub(super) fn next(old: &Cluster, spec: &ClusterSpec, rotate: bool) -> Result<Option<Secret>> {
    if !spec.encryption_config.auto_lock_managers {
        if rotate {
            return Err(ApiError::invalid("cannot rotate because autolock is not turned on"));
        }
        return Ok(None);
    }
    match &old.unlock_key {
        Some(key) if !rotate => Ok(Some(key.clone())),
        _ => {
            let key = UnlockKey::generate();
            Ok(Some(key.map_err(|error| ApiError::system(error.to_string()))?.to_text()))
        }
    }
}
