//! The swarm's certificate authority on a manager: the calls by which nodes get their certificates
//! (service `Authority` of swarm-rpc), and who is let in at all. Every manager answers them; what
//! they write goes through whoever leads.
//!
//! Reading order: `found` (what a swarm begins with), `issue` (a node that joins), `renew`, `sign`
//! (by our own key or an external authority's), `caller` (who makes a call), `admission` (removed
//! nodes), `routes` (the port), `passages` (what it carries for others).
//!
//! Invariants: a worker token never makes a manager; a certificate's role is the one that the store
//! has at that moment; no certificate is given of which the store does not know until when it holds.

mod admission;
mod caller;
mod found;
mod issue;
mod moment;
mod passages;
mod renew;
mod routes;
mod sign;

use std::sync::Arc;

use swarm_ca::tls::Live;
use swarm_kv::StoreError;
use swarm_model::Cluster;
use swarm_rpc::v1::authority_server::Authority as Calls;
use swarm_rpc::v1::{IssueReply, IssueRequest, RenewRequest, RootsReply, RootsRequest};
use tonic::{Request, Response, Status};

use crate::Replica;

pub use admission::keep_removed;
pub use caller::{caller, calling_manager};
pub use found::{FoundError, Founded, Founding, found, new_tokens};
pub use passages::passages;
pub use routes::{Gate, routes};
pub use sign::{external_urls, issuing, kept};

/// How often a change is tried again that somebody else's came before.
const TRIES: usize = 8;

/// The calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authority {
    replica: Arc<Replica>,
    /// Who we are, towards external authorities.
    live: Arc<Live>,
}

impl Authority {
    /// Over the swarm's objects, as the node of `live`.
    pub fn new(replica: Arc<Replica>, live: Arc<Live>) -> Self {
        Self { replica, live }
    }

    fn cluster(&self) -> Result<Arc<Cluster>, Status> {
        let cluster = self.replica.read(|tables| tables.cluster.clone());
        cluster.ok_or_else(|| {
            Status::unavailable("this manager does not have the swarm's objects yet; try again")
        })
    }
}

#[tonic::async_trait]
impl Calls for Authority {
    async fn roots(&self, _: Request<RootsRequest>) -> Result<Response<RootsReply>, Status> {
        let kept = kept(&*self.cluster()?)?;
        let roots = kept.trusted().map_err(sign::damaged)?;
        Ok(Response::new(RootsReply { pem: roots.to_pem(), now: swarm_rpc::clock() }))
    }

    async fn issue(&self, request: Request<IssueRequest>) -> Result<Response<IssueReply>, Status> {
        issue::issue(self, &request).await.map(Response::new)
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<IssueReply>, Status> {
        renew::renew(self, &request).await.map(Response::new)
    }
}

/// What the store says, as the answer of a call.
fn refused(error: StoreError) -> Status {
    match error {
        StoreError::Unreachable { .. } | StoreError::NotPrimary { .. } => {
            Status::unavailable(format!("{error}; try again"))
        }
        StoreError::Unwritable { .. } | StoreError::Unknown { .. } => {
            Status::unavailable(error.to_string())
        }
        StoreError::Conflict { .. } | StoreError::Fenced { .. } => {
            Status::aborted(format!("{error}; try again"))
        }
        other => Status::failed_precondition(other.to_string()),
    }
}
