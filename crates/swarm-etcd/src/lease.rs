//! Leases. etcd counts them in whole seconds and has a minimum of its own (2 s as it comes); both
//! are rounded up there, and never for the holder.

use std::time::Duration;

use swarm_kv::{Lease, Result, StoreError};

use crate::client::Client;
use crate::fault::Fault;
use crate::proto::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
};

/// etcd looks for leases that are over twice a second, and then takes a round of its cluster. A
/// change of etcd's own leader begins every lease anew: that comes on top, and cannot be foreseen.
const SWEEP: Duration = Duration::from_secs(1);

impl Client {
    /// A new lease.
    pub(crate) async fn grant_lease(&self, ttl: Duration) -> Result<Lease> {
        let whole = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let asked = i64::try_from(whole.max(1)).unwrap_or(i64::MAX);
        let request = LeaseGrantRequest { ttl: asked, id: 0 };
        let answer = self.call(&request).await.map_err(|fault| self.error(fault))?.value;
        if !answer.error.is_empty() || answer.ttl <= 0 || answer.id == 0 {
            let reason = format!("it grants no lease of {asked} s: {}", answer.error);
            return Err(StoreError::Refused { store: self.store.clone(), reason });
        }
        let granted = Duration::from_secs(answer.ttl.unsigned_abs());
        Ok(Lease {
            id: format!("{:x}", answer.id),
            holds: ttl.min(granted),
            gone_after: granted.max(ttl).saturating_add(SWEEP),
        })
    }

    /// Renews a lease.
    pub(crate) async fn keep_lease(&self, lease: &Lease) -> Result<()> {
        let request = LeaseKeepAliveRequest { id: number(lease)? };
        match self.call(&request).await {
            Ok(answer) if answer.value.ttl > 0 => Ok(()),
            Ok(_) | Err(Fault::LeaseLost) => Err(lost(lease)),
            Err(fault) => Err(self.error(fault)),
        }
    }

    /// Ends a lease.
    pub(crate) async fn end_lease(&self, lease: &Lease) -> Result<()> {
        let Ok(id) = number(lease) else { return Ok(()) };
        match self.call(&LeaseRevokeRequest { id }).await {
            Ok(_) | Err(Fault::LeaseLost) => Ok(()),
            Err(fault) => Err(self.error(fault)),
        }
    }

    /// How long ago a key's lease was renewed, in whole seconds, rounded up.
    pub(crate) async fn lease_age(&self, key: &str) -> Result<Option<Duration>> {
        let Some(id) = self.key_value(key).await?.map(|kv| kv.lease).filter(|id| *id != 0) else {
            return Ok(None);
        };
        match self.call(&LeaseTimeToLiveRequest { id }).await {
            // Just after a change of leader, more remains than was granted.
            Ok(answer) if answer.value.ttl >= 0 => {
                let age = answer.value.granted_ttl.saturating_sub(answer.value.ttl).max(0);
                Ok(Some(Duration::from_secs(age.unsigned_abs())))
            }
            Ok(_) | Err(Fault::LeaseLost) => Ok(None),
            Err(fault) => Err(self.error(fault)),
        }
    }
}

/// etcd's number of a lease; `etcdctl` shows it in the same digits.
pub(crate) fn number(lease: &Lease) -> Result<i64> {
    match i64::from_str_radix(&lease.id, 16) {
        Ok(id) if id != 0 => Ok(id),
        // Of another store: it is none here.
        _ => Err(lost(lease)),
    }
}

fn lost(lease: &Lease) -> StoreError {
    StoreError::LeaseLost { id: lease.id.clone() }
}
