//! A manager's port: which connections there are, and who may have one.

use std::sync::Arc;

use swarm_ca::tls::{Clients, Everybody, Expect, Live, Removed, TlsError};
use swarm_ca::{Identity, Role as Named};
use swarm_model::node::Role;
use swarm_raft::Embedded;
use swarm_rpc::v1::authority_server::AuthorityServer;
use swarm_rpc::{CALLS, Peer, RAFT, RENEWAL, Route, Services};

use super::Authority;
use crate::Replica;

/// What a manager's port stands on.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Who we are, and whom we trust.
    pub live: Arc<Live>,
    /// The swarm's id.
    pub cluster_id: String,
    /// Nodes that are not let in any more ([`super::keep_removed`]).
    pub removed: Arc<Removed>,
    /// The swarm's objects.
    pub replica: Arc<Replica>,
    /// The store under them.
    pub store: Arc<Embedded>,
}

/// The routes of a manager's port: the authority's calls beside `services`, the store's connections,
/// and renewal.
pub fn routes(gate: &Gate, services: Services) -> Result<Vec<Route>, TlsError> {
    let Gate { live, cluster_id, removed, replica, store } = gate;
    let authority = AuthorityServer::new(Authority::new(Arc::clone(replica), Arc::clone(live)));
    let removed = || Arc::clone(removed) as _;
    let nodes = [Named::Manager, Named::Worker];

    // One who joins has no certificate yet; the calls look for one themselves.
    let expect = Expect::new(cluster_id, &nodes, removed());
    let calls = live.server(Clients::Optional, expect)?;

    let expect = Expect::new(cluster_id, &[Named::Manager], removed());
    let raft = live.server(Clients::Required, expect)?;
    let (replica, store) = (Arc::clone(replica), Arc::clone(store));
    let raft = Route::streams(RAFT, &raft, move |stream, _| store.take(Box::new(stream)));
    let raft = raft.admitting(Arc::new(move |peer| holds_the_store(&replica, peer)));

    // A removed node is let in here to be told so: the call looks it up in the store.
    let expect = Expect::new(cluster_id, &nodes, Arc::new(Everybody));
    let renewal = live.renewal_server(expect, Arc::new(Everybody))?;
    Ok(vec![
        Route::calls(CALLS, &calls, services.with(authority.clone())),
        raft,
        Route::calls(RENEWAL, &renewal, Services::new().with_call("Renew", authority)),
    ])
}

/// A manager's certificate is good for a while after the node was demoted. As soon as the store has
/// done without it, its connections are refused.
pub(super) fn holds_the_store(replica: &Replica, peer: &Peer) -> Result<(), String> {
    let certificate = peer.certificate.as_ref().ok_or("it showed no certificate")?;
    let who = Identity::of(certificate).map_err(|error| error.to_string())?;
    let node = replica.read(|tables| tables.nodes.get(who.subject.node_id()).cloned());
    match node {
        Some(node) if node.spec.role == Role::Worker && node.member == 0 => {
            Err(format!("node {} is no manager any more", node.id))
        }
        // One that is not known here yet has joined a moment ago.
        _ => Ok(()),
    }
}
