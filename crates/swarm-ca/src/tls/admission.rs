//! Who is let in, beyond what a certificate says: a removed node's is good until its end, and must
//! be refused from the moment of removal.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::SystemTime;

use parking_lot::RwLock;

use crate::identity::Identity;

/// Asked in every handshake, after the certificate has been found good. It must not block.
pub trait Admission: Debug + Send + Sync {
    /// `Err` says in words why this node is not let in.
    fn admit(&self, who: &Identity, now: SystemTime) -> Result<(), String>;
}

/// Lets in whoever has a good certificate.
#[derive(Debug, Clone, Copy)]
pub struct Everybody;

impl Admission for Everybody {
    fn admit(&self, _: &Identity, _: SystemTime) -> Result<(), String> {
        Ok(())
    }
}

/// Refuses removed nodes, each until its last certificate has ended. Connections that are open when
/// a node is removed are for their owner to close.
#[derive(Debug, Default)]
pub struct Removed(RwLock<HashMap<String, SystemTime>>);

impl Removed {
    /// Refuses this node from now on, until then. Of several ends the latest counts.
    pub fn refuse(&self, node_id: &str, until: SystemTime) {
        let mut nodes = self.0.write();
        let end = nodes.entry(node_id.to_owned()).or_insert(until);
        *end = until.max(*end);
    }

    /// Forgets those whose time is over; their certificates have ended by themselves.
    pub fn forget_ended(&self, now: SystemTime) {
        self.0.write().retain(|_, until| *until >= now);
    }

    /// Is this node refused?
    pub fn is_refused(&self, node_id: &str, now: SystemTime) -> bool {
        self.0.read().get(node_id).is_some_and(|until| *until >= now)
    }
}

impl Admission for Removed {
    fn admit(&self, who: &Identity, now: SystemTime) -> Result<(), String> {
        if self.is_refused(who.subject.node_id(), now) {
            return Err(format!("node {} was removed from the cluster", who.subject.node_id()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_removed_node_is_refused_until_its_certificate_ends() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let removed = Removed::default();
        removed.refuse("a", at(10));
        removed.refuse("a", at(5));
        assert!(removed.is_refused("a", at(10)) && !removed.is_refused("a", at(11)));
        assert!(!removed.is_refused("b", at(0)));
        removed.forget_ended(at(10));
        assert!(removed.is_refused("a", at(10)));
        removed.forget_ended(at(11));
        assert!(!removed.is_refused("a", at(10)), "forgotten");
    }
}
