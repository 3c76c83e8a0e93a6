//! A node that has a certificate, which may have ended, gets a new one, with the role that it is to
//! have now.

use swarm_ca::Subject;
use swarm_kv::StoreError;
use swarm_model::Node;
use swarm_rpc::v1::{IssueReply, RenewRequest};
use tonic::{Request, Status};

use super::caller::caller;
use super::sign::{named, reply, sign};
use super::{Authority, TRIES, moment, refused};
use crate::Batch;

/// Renews.
pub(super) async fn renew(
    authority: &Authority,
    request: &Request<RenewRequest>,
) -> Result<IssueReply, Status> {
    let who = caller(request)?.subject;
    // Whoever was removed anywhere before this call is.
    authority.replica.fresh().await.map_err(refused)?;
    for _ in 0..TRIES {
        let cluster = authority.cluster()?;
        if who.cluster_id() != &*cluster.id {
            return Err(Status::permission_denied("the certificate is of another cluster"));
        }
        let node = authority.replica.read(|tables| tables.nodes.get(who.node_id()).cloned());
        let Some(node) = node else {
            return Err(Status::permission_denied(format!(
                "node {} was removed from the swarm; it has to leave (docker swarm leave --force) \
                 and join again",
                who.node_id()
            )));
        };
        let subject = Subject::new(&node.id, named(node.certified_role()), &cluster.id);
        let subject = subject.map_err(|error| Status::internal(error.to_string()))?;
        let asked = request.get_ref();
        let request = (&*asked.signing_request, asked.now);
        let signed = sign(&cluster, &authority.live, request, &subject).await?;
        let mut node = Node::clone(&node);
        // The one before may end later, and is good until then.
        node.certificate_ends = node.certificate_ends.max(signed.ends);
        node.updated_at = authority.replica.read(moment::now);
        let mut batch = Batch::default();
        batch.put(&node).map_err(refused)?;
        match authority.replica.commit(batch).await {
            Ok(()) => {
                let role = node.certified_role();
                let named = role.as_str();
                tracing::info!(node = %node.id, role = named, "a node's certificate was renewed");
                return reply(&cluster, &node.id, role, signed);
            }
            Err(StoreError::Conflict { .. } | StoreError::Fenced { .. }) => {
                authority.replica.fresh().await.map_err(refused)?;
            }
            Err(error) => return Err(refused(error)),
        }
    }
    Err(Status::aborted("the node was changed again and again meanwhile; try again"))
}
