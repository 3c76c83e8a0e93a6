//! A new certificate in the place of the one there is, which may have ended: with the role that the
//! swarm has for this node now, and all roots to be trusted.

use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use swarm_ca::tls::{Everybody, Expect, TlsError};
use swarm_ca::{Identity, NodeKey, RequestError, Role, Roots, Stored, UnlockKey};
use swarm_rpc::v1::authority_client::AuthorityClient;
use swarm_rpc::v1::{IssueReply, RenewRequest};
use swarm_rpc::{RENEWAL, clock, connect};
use tonic::Code;

use super::join::{locking, taken, told};
use super::own::{Own, OwnError};
use super::words::explain_asking;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the certificate may take.
const ISSUE: Duration = Duration::from_secs(20);

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The swarm does not have this node any more; in a manager's words. Trying again does not help.
    #[error("{0}")]
    Removed(String),
    /// Each was asked; in words.
    #[error("no manager renewed this node's certificate: {}", .0.join("; "))]
    Failed(Vec<String>),
    /// No key can be made.
    #[error(transparent)]
    Key(#[from] RequestError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What came was not kept.
    #[error(transparent)]
    Own(#[from] OwnError),
}

/// Asks these managers (`HOST:PORT`), each until one renews; in an order of chance, so that a swarm's
/// nodes do not all ask the same.
pub async fn renew(own: &Own, managers: &[String]) -> Result<Identity, RenewError> {
    let cluster = own.identity().subject.cluster_id().to_owned();
    let expect = Expect::new(&cluster, &[Role::Manager], Arc::new(Everybody));
    let tls = Arc::new(own.live().client(expect)?);
    let mut addresses = managers.to_vec();
    addresses.shuffle(&mut rand::rng());
    let key = NodeKey::generate()?;
    let mut failed = Vec::new();
    for address in addresses {
        let channel = match connect(&address, &tls, RENEWAL, CONNECT).await {
            Ok(channel) => channel,
            Err(error) => {
                failed.push(explain_asking(&error).await);
                continue;
            }
        };
        let mut calls = AuthorityClient::new(channel);
        let asked = RenewRequest { signing_request: key.request()?, now: clock() };
        match tokio::time::timeout(ISSUE, calls.renew(asked)).await {
            Err(_) => failed.push(format!("{address}: no certificate within {ISSUE:?}")),
            Ok(Err(status)) if status.code() == Code::PermissionDenied => {
                return Err(RenewError::Removed(status.message().to_owned()));
            }
            Ok(Err(status)) => failed.push(told(&address, &status)),
            Ok(Ok(reply)) => match accepted(&reply.into_inner(), key.clone()) {
                Ok((stored, roots, lock)) => {
                    let identity = stored.identity.clone();
                    own.replace_locking(stored, roots, lock).await?;
                    return Ok(identity);
                }
                Err(words) => failed.push(format!("{address}: {words}")),
            },
        }
    }
    if failed.is_empty() {
        failed.push("no manager's address is known".to_owned());
    }
    Err(RenewError::Failed(failed))
}

fn accepted(
    reply: &IssueReply,
    key: NodeKey,
) -> Result<(Stored, Roots, Option<UnlockKey>), String> {
    let (stored, roots) = taken(reply, key)?;
    Ok((stored, roots, locking(reply)?))
}
