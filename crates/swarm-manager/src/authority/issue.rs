//! A node joins: it shows a token's secret, and gets an id and a certificate.

use swarm_ca::Subject;
use swarm_kv::StoreError;
use swarm_model::cluster::JoinTokens;
use swarm_model::node::{NodeSpec, NodeStatus, Role};
use swarm_model::{Availability, Id, Node, Secret};
use swarm_rpc::Peer;
use swarm_rpc::v1::{IssueReply, IssueRequest};
use tonic::{Request, Status};

use super::sign::{named, reply, sign};
use super::{Authority, TRIES, moment, refused};
use crate::Batch;

/// Takes a node in.
pub(super) async fn issue(
    authority: &Authority,
    request: &Request<IssueRequest>,
) -> Result<IssueReply, Status> {
    let address = Peer::of(request)?.address.ip().to_canonical();
    let asked = request.get_ref();
    let availability = availability(&asked.availability)?;
    let secret = Secret::new(asked.token_secret.as_str());
    // A token that was rotated anywhere before this call is not good any more.
    authority.replica.fresh().await.map_err(refused)?;
    let id = Id::from_bits(rand::random());
    for _ in 0..TRIES {
        let cluster = authority.cluster()?;
        let role = role_of(&cluster.join_tokens, &secret).ok_or_else(wrong_token)?;
        let subject = Subject::new(&id, named(role), &cluster.id);
        let subject = subject.map_err(|error| Status::internal(error.to_string()))?;
        let request = (&*asked.signing_request, asked.now);
        let signed = sign(&cluster, &authority.live, request, &subject).await?;
        let now = authority.replica.read(moment::now);
        let node = Node {
            id: id.clone(),
            created_at: now,
            updated_at: now,
            spec: NodeSpec { role, availability, ..NodeSpec::default() },
            status: NodeStatus { addr: address.to_string(), ..NodeStatus::default() },
            certificate_ends: signed.ends,
            ..Node::default()
        };
        let mut batch = Batch::default();
        batch.put(&node).map_err(refused)?;
        // The tokens are those of this version.
        batch.expect(&*cluster);
        match authority.replica.commit(batch).await {
            Ok(()) => {
                tracing::info!(node = %id, role = role.as_str(), %address, "a node joined");
                return reply(&cluster, &id, role, signed);
            }
            Err(StoreError::Conflict { .. } | StoreError::Fenced { .. }) => {
                authority.replica.fresh().await.map_err(refused)?;
            }
            Err(error) => return Err(refused(error)),
        }
    }
    Err(Status::aborted("the swarm was changed again and again meanwhile; try again"))
}

/// By which token a node comes. Both are looked at in any case, so that the time tells nothing.
fn role_of(tokens: &JoinTokens, shown: &Secret) -> Option<Role> {
    let holds = |token: &Secret| {
        let secret = token.reveal().rsplit('-').next().unwrap_or_default();
        !secret.is_empty() && Secret::new(secret) == *shown
    };
    match (holds(&tokens.manager), holds(&tokens.worker)) {
        (true, _) => Some(Role::Manager),
        (false, true) => Some(Role::Worker),
        (false, false) => None,
    }
}

/// In the words of swarmkit (`ca/server.go`: `IssueNodeCertificate`), and what to do.
fn wrong_token() -> Status {
    Status::invalid_argument(
        "A valid join token is necessary to join this cluster: this one is mistyped, or was \
         rotated; a manager prints the present one (docker swarm join-token worker|manager)",
    )
}

fn availability(word: &str) -> Result<Availability, Status> {
    let all = [Availability::Active, Availability::Pause, Availability::Drain];
    match all.into_iter().find(|one| one.as_str() == word) {
        Some(found) => Ok(found),
        None if word.is_empty() => Ok(Availability::Active),
        None => Err(Status::invalid_argument(format!(
            "invalid availability: {word:?}; it is active, pause or drain"
        ))),
    }
}
