//! Removed nodes: refused in each handshake as long as their certificates would hold, and their open
//! connections closed.

use std::sync::Arc;
use std::time::SystemTime;

use swarm_ca::Identity;
use swarm_ca::tls::Removed;
use swarm_rpc::Connections;
use tokio_util::sync::CancellationToken;

use super::moment;
use crate::Replica;

/// Keeps `removed` in step with the swarm's object, and closes the connections of those who were
/// removed, until it is told to stop.
pub async fn keep_removed(
    replica: Arc<Replica>,
    removed: Arc<Removed>,
    connections: Arc<Connections>,
    stop: CancellationToken,
) {
    let feed = replica.feed();
    loop {
        let now = SystemTime::now();
        let refused = replica.read(|tables| {
            let nodes = tables.cluster.iter().flat_map(|cluster| &cluster.removed);
            nodes.map(|(id, until)| (id.clone(), moment::read(*until))).collect::<Vec<_>>()
        });
        let mut new = false;
        for (node, until) in refused.iter().filter(|(_, until)| *until >= now) {
            new |= !removed.is_refused(node, now);
            removed.refuse(node, *until);
        }
        if new {
            // After they are refused: no connection comes between.
            let closed = connections.close(|certificate| {
                let who = Identity::of(certificate);
                who.is_ok_and(|who| removed.is_refused(who.subject.node_id(), now))
            });
            tracing::info!(closed, "connections of removed nodes were closed");
        }
        removed.forget_ended(now);
        loop {
            let Some(touched) = stop.run_until_cancelled(feed.changed()).await else { return };
            if touched.whole || touched.cluster {
                break;
            }
        }
    }
}
