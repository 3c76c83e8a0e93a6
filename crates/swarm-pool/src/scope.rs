//! Objects that belong to the whole pool although every engine has its own copy: networks and
//! volumes created without a node.
//!
//! Such a copy carries two labels: [`SCOPE`] says that it is one, [`NETWORK_ID`] gives a network
//! the id under which the pool shows it. Engine ids and pool ids are 64 hexadecimal digits both,
//! so one takes the other's place in any document without moving a byte.

use std::borrow::Borrow;

use bytes::Bytes;
use swarm_docker::network::NetworkEntry;

/// Label of a pool-wide network or volume; its value is [`POOL`].
pub const SCOPE: &str = "com.docker.swarm.scope";
/// See [`SCOPE`].
pub const POOL: &str = "pool";
/// Label with a pool-wide network's id.
pub const NETWORK_ID: &str = "com.docker.swarm.network-id";
/// Label that is there when the addresses of a pool-wide network were the user's choice and not
/// each engine's own.
pub const FIXED_ADDRESSES: &str = "com.docker.swarm.network-addresses";

/// The pool's id of a pool-wide network.
pub fn pool_id(network: &NetworkEntry) -> Option<&str> {
    (network.labels.get(SCOPE) == Some(POOL))
        .then(|| network.labels.get(NETWORK_ID))
        .flatten()
        .filter(|id| id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Which ids of one engine's networks the pool shows as others.
#[derive(Debug, Default)]
pub struct PoolIds {
    pairs: Vec<(String, String)>,
}

impl PoolIds {
    /// Of an engine's networks.
    pub fn of<N: Borrow<NetworkEntry>>(networks: impl IntoIterator<Item = N>) -> Self {
        let pairs = networks
            .into_iter()
            .filter_map(|network| {
                let network = network.borrow();
                let shown = pool_id(network)?;
                (network.id.len() == shown.len())
                    .then(|| (network.id.to_string(), shown.to_owned()))
            })
            .collect();
        Self { pairs }
    }

    /// An engine's document as the pool shows it.
    pub fn shown(&self, mut document: Vec<u8>) -> Vec<u8> {
        for (engines, pools) in &self.pairs {
            let places: Vec<usize> =
                memchr::memmem::find_iter(&document, engines.as_bytes()).collect();
            for at in places {
                document[at..at + pools.len()].copy_from_slice(pools.as_bytes());
            }
        }
        document
    }

    /// The same for shared bytes, which are copied only when something must change.
    pub fn shown_bytes(&self, document: Bytes) -> Bytes {
        let touched = self
            .pairs
            .iter()
            .any(|(engines, _)| memchr::memmem::find(&document, engines.as_bytes()).is_some());
        if touched { self.shown(document.into()).into() } else { document }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_change_places_without_moving_anything() {
        let (local, pool) = ("a".repeat(64), "b".repeat(64));
        let ids = PoolIds { pairs: vec![(local.clone(), pool.clone())] };
        let document = format!("{{\"NetworkID\":\"{local}\",\"Other\":\"{local}\"}}");
        let shown = String::from_utf8(ids.shown(document.into_bytes())).unwrap();
        assert_eq!(shown, format!("{{\"NetworkID\":\"{pool}\",\"Other\":\"{pool}\"}}"));
        let untouched = Bytes::from_static(b"{}");
        assert_eq!(ids.shown_bytes(untouched.clone()), untouched);
    }
}
