//! What a backup has beside the store, its first part: who the manager is, where it is reached, and
//! the authority once more, so that a restored manager is given a certificate of today: the one of then
//! may have ended.

use std::net::SocketAddr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use swarm_ca::rotation::Signer;
use swarm_ca::unlock::UnlockError;
use swarm_ca::{Authority, DiskError, Expiry, NodeKey, Roots, Stored, UnlockKey};
use swarm_model::Secret;

use crate::identity::Own;
use crate::kept::Kept;

/// The first part, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Where it listened.
    pub listen: SocketAddr,
    /// Where others reached it.
    pub advertise: SocketAddr,
    /// Its key and its chain, in PEM.
    identity: Secret,
    /// What it trusts, in PEM.
    roots: String,
    /// What locked its disk.
    lock: Option<Secret>,
    /// The swarm's authority, as the store keeps it.
    authority: Value,
}

impl Manifest {
    /// Of this manager.
    pub fn of(own: &Own, kept: &Kept, authority: Value) -> Self {
        Self {
            listen: kept.listen,
            advertise: kept.advertise,
            identity: own.stored().to_pem(),
            roots: own.live().roots().to_pem(),
            lock: own.lock_key().as_ref().map(UnlockKey::to_text),
            authority,
        }
    }

    /// The identity: with a new key and certificate where the swarm has its authority's key, and
    /// else the one of then.
    pub fn stored(&self, now: SystemTime) -> Result<Stored, DiskError> {
        let stored = Stored::from_pem(self.identity.reveal())?;
        let authority = serde_json::from_value::<Authority>(self.authority.clone()).ok();
        let signer = authority.and_then(|authority| authority.signer(now).ok());
        let Some(Signer::Own(issuer)) = signer else { return Ok(stored) };
        let key = NodeKey::generate()?;
        let subject = &stored.identity.subject;
        let chain = issuer.issue(&key.request()?, subject, Expiry::default(), now);
        match chain {
            Ok(chain) => Stored::new(key, &chain),
            Err(error) => {
                tracing::warn!(%error, "no new certificate; the one in the backup is used");
                Ok(stored)
            }
        }
    }

    /// What it trusts.
    pub fn roots(&self) -> Result<Roots, swarm_ca::RootsError> {
        Roots::kept(&self.roots)
    }

    /// What locks its disk.
    pub fn lock(&self) -> Result<Option<UnlockKey>, UnlockError> {
        self.lock.as_ref().map(|key| UnlockKey::parse(key.reveal())).transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use swarm_ca::rotation::KeptRoot;
    use swarm_ca::{Issuer, Role, RootCa, Subject};

    use super::*;

    #[test]
    fn a_certificate_that_has_ended_meanwhile_is_made_anew_where_the_key_is_here() {
        let (now, day) = (SystemTime::now(), Duration::from_hours(24));
        let root = RootCa::create(now - 200 * day).unwrap();
        let subject =
            Subject::new("nhtb4v64nex8r51c01gqdadvi", Role::Manager, "tehyu2bphyg3xa3d4f5q32a16")
                .unwrap();
        let key = NodeKey::generate().unwrap();
        let issuer = Issuer::new(&root).unwrap();
        let expiry = Expiry::default();
        let chain =
            issuer.issue(&key.request().unwrap(), &subject, expiry, now - 100 * day).unwrap();
        let then = Stored::new(key, &chain).unwrap();
        assert!(then.identity.is_expired(now));
        let address = "10.0.0.1:2377".parse().unwrap();
        let manifest = |kept: KeptRoot| Manifest {
            listen: address,
            advertise: address,
            identity: then.to_pem(),
            roots: root.roots().unwrap().to_pem(),
            lock: None,
            authority: serde_json::to_value(Authority::new(kept)).unwrap(),
        };
        let made = manifest(KeptRoot::with_key(&root)).stored(now).unwrap();
        assert_eq!(made.identity.subject, subject);
        assert!(!made.identity.is_expired(now));
        let outside = KeptRoot::external(&root.roots().unwrap()).unwrap();
        let kept = manifest(outside).stored(now).unwrap();
        assert_eq!(kept.chain, then.chain, "an external authority is asked by the daemon");
    }
}
