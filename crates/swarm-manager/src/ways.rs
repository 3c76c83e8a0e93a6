//! Whether managers reach each other: each connects to all others when it is asked. `swarm doctor` puts
//! their answers together; nothing else depends on them.
//!
//! Invariant: however many ask at once, one look is made at a time, and one a second at most.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use swarm_model::{Id, Node};
use swarm_rpc::v1::ways_server;
use swarm_rpc::v1::{Way, WayEnd, WaysReply, WaysRequest};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::Replica;
use crate::authority::caller;
use crate::transport::Managers;

/// How long one look answers those who ask after it.
const FRESH: Duration = Duration::from_secs(1);

/// A manager's ways to the others.
#[derive(Debug)]
pub struct Ways {
    replica: Arc<Replica>,
    managers: Arc<Managers>,
    own: Id,
    last: Mutex<Option<(Instant, WaysReply)>>,
}

impl Ways {
    /// Of the manager with the node id `own`.
    pub fn new(replica: Arc<Replica>, managers: Arc<Managers>, own: Id) -> Self {
        Self { replica, managers, own, last: Mutex::new(None) }
    }

    async fn look(&self) -> WaysReply {
        let mut last = self.last.lock().await;
        if let Some((at, reply)) = &*last
            && at.elapsed() < FRESH
        {
            return reply.clone();
        }
        let (from, others) = self.replica.read(|tables| {
            let own = tables.nodes.get(&self.own).map(|node| end(node));
            let others = tables.nodes.values().filter(|node| node.id != self.own);
            let others = others
                .filter_map(|node| Some((end(node), node.manager_status.as_ref()?.addr.clone())));
            (own, others.collect::<Vec<_>>())
        });
        let looks = others.into_iter().map(|(to, address)| async move {
            let failure = self.managers.reach(&address).await.err().unwrap_or_default();
            Way { to: Some(to), address, failure }
        });
        let reply = WaysReply { from, ways: join_all(looks).await };
        *last = Some((Instant::now(), reply.clone()));
        reply
    }
}

fn end(node: &Node) -> WayEnd {
    WayEnd { id: node.id.to_string(), hostname: node.description.hostname.clone() }
}

#[tonic::async_trait]
impl ways_server::Ways for Ways {
    async fn look(&self, request: Request<WaysRequest>) -> Result<Response<WaysReply>, Status> {
        caller(&request)?;
        Ok(Response::new(self.look().await))
    }
}
