//! A node joins a swarm: it knows a token and addresses. Over a first connection it fetches the roots
//! and compares them with the token; over a second one, which verifies against them, it shows the
//! token's secret and gets its certificate.
//!
//! A manager that is lost while it answers may have taken the node in. Another one takes it in under
//! another id; the first is a node that is never heard of, and is removed as such.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use swarm_ca::tls::{Expect, Live, TlsError, first_contact};
use swarm_ca::{
    Disk, JoinToken, NodeKey, RequestError, Roots, RootsError, Stored, TokenError, UnlockKey,
};
use swarm_model::Availability;
use swarm_rpc::v1::authority_client::AuthorityClient;
use swarm_rpc::v1::{IssueReply, IssueRequest, RootsRequest};
use swarm_rpc::{CALLS, clock, connect};
use tonic::{Code, Status};

use super::clocks::{Clocks, with_clocks};
use super::own::{Own, OwnError};
use super::words::explain;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the roots may take.
const FETCH: Duration = Duration::from_secs(5);
/// How long the certificate may take: the swarm's managers have to agree, and an external authority
/// may have to sign.
const ISSUE: Duration = Duration::from_secs(20);

/// Why the node did not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The token's text.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Nobody to ask.
    #[error("no manager to join is given: name at least one as HOST:PORT")]
    NoAddress,
    /// A manager of the right swarm refused: the token's secret, mostly. No other is asked.
    #[error("{address}: {words}")]
    Refused {
        /// `HOST:PORT`.
        address: String,
        /// The manager's.
        words: String,
    },
    /// Each was asked; in their order, in words.
    #[error("no manager took this node in: {}", .0.join("; "))]
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

/// How a node joins.
#[derive(Debug, Clone)]
pub struct Joining {
    /// `HOST:PORT` of managers, asked in turn.
    pub addresses: Vec<String>,
    /// Whether it is given tasks.
    pub availability: Availability,
}

/// What became of one manager.
enum Outcome {
    /// Another one may do.
    Next(String),
    /// None will.
    Final(String),
}

/// Joins by the token `token`, and keeps the identity in `disk`, sealed under `lock` where there is
/// one, and else as the swarm has its managers.
pub async fn join(
    token: &str,
    joining: &Joining,
    disk: Disk,
    lock: Option<UnlockKey>,
) -> Result<Own, JoinError> {
    let token = JoinToken::parse(token)?;
    if joining.addresses.is_empty() {
        return Err(JoinError::NoAddress);
    }
    let key = NodeKey::generate()?;
    let request = key.request()?;
    let mut failed = Vec::new();
    for address in &joining.addresses {
        let address = super::with_port(address);
        let (roots, clocks) = match pinned(&address, &token).await? {
            Ok(pinned) => pinned,
            Err(words) => {
                failed.push(words);
                continue;
            }
        };
        let asked = IssueRequest {
            signing_request: request.clone(),
            token_secret: token.secret().reveal().to_owned(),
            availability: joining.availability.as_str().to_owned(),
            now: clock(),
        };
        match issued(&address, roots, asked).await? {
            Err(Outcome::Next(words)) => failed.push(with_clocks(words, clocks)),
            Err(Outcome::Final(words)) => return Err(JoinError::Refused { address, words }),
            Ok(reply) => match taken(&reply, key.clone()).and_then(|it| Ok((it, locking(&reply)?)))
            {
                Ok(((stored, roots), theirs)) => {
                    if let Some(apart) = clocks.and_then(Clocks::words) {
                        tracing::warn!("{apart}");
                    }
                    return Ok(Own::begin(disk, stored, roots, lock.or(theirs)).await?);
                }
                Err(words) => return Err(JoinError::Refused { address, words }),
            },
        }
    }
    Err(JoinError::Failed(failed))
}

/// The roots that the token pins, from whoever answers.
async fn pinned(
    address: &str,
    token: &JoinToken,
) -> Result<Result<(Roots, Option<Clocks>), String>, TlsError> {
    let tls = Arc::new(first_contact()?);
    let fetching = async {
        let channel = connect(address, &tls, CALLS, CONNECT).await;
        let channel = channel.map_err(|error| explain(&error))?;
        let mut calls = AuthorityClient::new(channel);
        let fetching = tokio::time::timeout(FETCH, calls.roots(RootsRequest {}));
        let fetched =
            fetching.await.map_err(|_| format!("{address}: no roots within {FETCH:?}"))?;
        let fetched = fetched.map_err(|status| told(address, &status))?;
        let fetched = fetched.into_inner();
        let clocks = Clocks::beside(fetched.now);
        let roots = Roots::pinned(&fetched.pem, token.digest(), SystemTime::now());
        let roots = roots.map_err(|error| match error {
            RootsError::OtherCluster { .. } => format!(
                "{address}: {error}; it belongs to another swarm than the join token, or the \
                 swarm's root was rotated and the token is an old one"
            ),
            other => with_clocks(format!("{address}: {other}"), clocks),
        });
        roots.map(|roots| (roots, clocks))
    };
    Ok(fetching.await)
}

/// A certificate, from a manager that was verified.
async fn issued(
    address: &str,
    roots: Roots,
    asked: IssueRequest,
) -> Result<Result<IssueReply, Outcome>, TlsError> {
    let tls = Arc::new(Live::new(roots)?.client(Expect::manager_of_root())?);
    let asking = async {
        let channel = connect(address, &tls, CALLS, CONNECT).await;
        let channel = channel.map_err(|error| Outcome::Next(explain(&error)))?;
        let mut calls = AuthorityClient::new(channel);
        match tokio::time::timeout(ISSUE, calls.issue(asked)).await {
            Ok(Ok(reply)) => Ok(reply.into_inner()),
            Ok(Err(status)) if status.code() == Code::InvalidArgument => {
                Err(Outcome::Final(status.message().to_owned()))
            }
            Ok(Err(status)) => Err(Outcome::Next(told(address, &status))),
            Err(_) => Err(Outcome::Next(format!("{address}: no certificate within {ISSUE:?}"))),
        }
    };
    Ok(asking.await)
}

/// What a manager gave, checked.
pub(super) fn taken(reply: &IssueReply, key: NodeKey) -> Result<(Stored, Roots), String> {
    let now = SystemTime::now();
    let stored = Stored::new(key, &reply.chain)
        .map_err(|error| format!("it gave a certificate that cannot be used: {error}"))?;
    let subject = &stored.identity.subject;
    if subject.node_id() != reply.node_id || subject.cluster_id() != reply.cluster_id {
        return Err("it gave a certificate of another node than it says".to_owned());
    }
    let clocks = Clocks::beside(reply.now);
    if now < stored.identity.not_before {
        let words = "the certificate that it gave is not valid yet: this machine's clock is more than an \
                     hour behind the manager's";
        return Err(with_clocks(words.to_owned(), clocks));
    }
    if stored.identity.is_expired(now) {
        let words = "the certificate that it gave has expired already: this machine's clock is ahead of \
                     the manager's";
        return Err(with_clocks(words.to_owned(), clocks));
    }
    let roots = Roots::kept(&reply.roots).map_err(|error| format!("it gave odd roots: {error}"))?;
    Ok((stored, roots))
}

/// What locks this node's disk, where it is to be a manager of a swarm whose managers are locked.
pub(super) fn locking(reply: &IssueReply) -> Result<Option<UnlockKey>, String> {
    let given = Some(&reply.unlock_key).filter(|text| !text.is_empty());
    let key = given.map(|text| UnlockKey::parse(text)).transpose();
    key.map_err(|error| format!("it gave an odd unlock key: {error}"))
}

/// What a manager answered.
pub(super) fn told(address: &str, status: &Status) -> String {
    match status.code() {
        Code::Unimplemented => format!("{address}: it is no manager of a swarm that is known here"),
        _ => format!("{address}: {}", status.message()),
    }
}
