//! Who calls: read from the connection by whoever accepts it, not from what the caller says.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use swarm_ca::{Authority, Identity, IssuerInfo, Role};
use swarm_model::Id;
use swarm_rpc::Peer;
use tonic::Extensions;

use crate::replica::Replica;

/// A node, as its certificate names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Its id.
    pub node_id: Id,
    /// What its certificate says it is; what it is to be stands in the store.
    pub role: Role,
    /// From where it calls.
    pub address: Option<IpAddr>,
    /// Who issued its certificate, where the connection tells: a root rotation waits for it.
    pub issuer: Option<IssuerInfo>,
}

type Find = dyn Fn(&Extensions) -> Option<NodeIdentity> + Send + Sync;

/// Finds out who calls. `None`: nobody that a certificate names.
#[derive(Clone)]
pub struct Identify(Arc<Find>);

impl fmt::Debug for Identify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("who calls")
    }
}

impl Identify {
    /// By this function of a request's extensions.
    pub fn new(
        identify: impl Fn(&Extensions) -> Option<NodeIdentity> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(identify))
    }

    /// By the connection's certificate, which its handshake found good.
    pub fn by_certificate(replica: Arc<Replica>) -> Self {
        Self::new(move |extensions| {
            let peer = extensions.get::<Peer>()?;
            let identity = Identity::of(peer.certificate.as_ref()?).ok()?;
            let cluster = replica.read(|tables| tables.cluster.clone());
            let roots = cluster.and_then(|cluster| {
                serde_json::from_value::<Authority>(cluster.authority.clone()).ok()?.trusted().ok()
            });
            Some(NodeIdentity {
                node_id: identity.subject.node_id().into(),
                role: identity.subject.role(),
                address: Some(peer.address.ip()),
                issuer: roots.and_then(|roots| IssuerInfo::of_chain(&peer.chain, &roots)),
            })
        })
    }

    /// Who sent a request with these extensions.
    pub fn of(&self, extensions: &Extensions) -> Option<NodeIdentity> {
        (self.0)(extensions)
    }
}
