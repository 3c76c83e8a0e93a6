//! The connections of a manager's port that carry others' bytes: tunnels to engines, and clients of the
//! cluster endpoint that another manager passes on.

use std::sync::Arc;

use swarm_ca::tls::{Clients, Expect, TlsError};
use swarm_ca::{Identity, Role};
use swarm_rpc::{CLUSTER, ENGINE, Route, Taken};

use super::Gate;
use super::routes::holds_the_store;
use crate::Dispatcher;

/// Their routes. `clients` takes what another manager passes on, and must not block; a worker's
/// certificate opens none of those.
pub fn passages(
    gate: &Gate,
    dispatcher: &Arc<Dispatcher>,
    clients: impl Fn(Taken) + Send + Sync + 'static,
) -> Result<Vec<Route>, TlsError> {
    let server = |roles: &[Role]| {
        let expect = Expect::new(&gate.cluster_id, roles, Arc::clone(&gate.removed) as _);
        gate.live.server(Clients::Required, expect)
    };
    let engines = server(&[Role::Manager, Role::Worker])?;
    let dispatcher = Arc::clone(dispatcher);
    let engines = Route::streams(ENGINE, &engines, move |stream, peer| {
        let identity = peer.certificate.as_ref().and_then(|own| Identity::of(own).ok());
        if let Some(who) = identity {
            dispatcher.arrived(who.subject.node_id().into(), Box::new(stream));
        } else {
            tracing::debug!(address = %peer.address, "a tunnel of nobody's");
        }
    });
    let managers = server(&[Role::Manager])?;
    let managers = Route::streams(CLUSTER, &managers, move |stream, _| clients(stream));
    let replica = Arc::clone(&gate.replica);
    let managers = managers.admitting(Arc::new(move |peer| holds_the_store(&replica, peer)));
    Ok(vec![engines, managers])
}
