//! `POST /swarm/unlock` (API v1.24; `moby/daemon/cluster/swarm.go`): a locked manager goes on with the
//! unlock key that a person gives.

use std::time::Duration;

use swarm_backend::{ApiError, Result};
use swarm_ca::{Role, UnlockKey};
use swarm_model::Secret;

use super::{Node, ResumeError, Standing};
use crate::words;

/// How long a client waits until an unlocked manager has the swarm's objects.
const UNLOCKED: Duration = Duration::from_secs(3);

impl Node {
    /// `docker swarm unlock`.
    pub(crate) async fn unlock(&self, key: Option<&Secret>) -> Result<()> {
        let _one_at_a_time = self.changing.lock().await;
        match self.standing() {
            Standing::Locked(_) => {}
            Standing::Member(member) if member.role() == Role::Manager => {
                return Err(ApiError::conflict("swarm is not locked"));
            }
            other => return Err(words::no_manager(other.part(), None)),
        }
        let key = UnlockKey::parse(key.map(Secret::reveal).unwrap_or_default());
        let key = key.map_err(|error| ApiError::invalid(error.to_string()))?;
        match self.resume(None, Some(key), self.said()).await {
            Ok(standing) => {
                self.set(standing.clone());
                if let Standing::Member(member) = &standing {
                    // The next command finds it; without a quorum it is told of that.
                    let there = self.wait_until_there(member);
                    let _ = tokio::time::timeout(UNLOCKED, there).await;
                }
                Ok(())
            }
            Err(ResumeError::WrongKey) => Err(words::wrong_unlock_key()),
            Err(ResumeError::Other(why)) => {
                Err(ApiError::system(format!("swarm component could not be started: {why}")))
            }
        }
    }
}
