//! What a replica does with a request: it sends it on to the primary, unread, over the same client
//! that engines are reached by, and so with the same TLS, half-closes and back-pressure.
//!
//! Invariants:
//! - a request goes one step: what another manager has forwarded is served here or refused;
//! - what reads is answered here when there is no primary, or none that can be reached; a change
//!   then gets an error that names who is awaited;
//! - a change is sent once, on a connection of its own: a kept one may be closed under it, and then
//!   nobody could say whether it was made;
//! - nothing stays with a manager that is the primary no more: its connections are cut some time
//!   after the next one is known.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue};
use http_body::Body as _;
use parking_lot::Mutex;
use swarm_backend::{ApiError, Forward, Forwarded, Onward, Reply, Result, empty};
use swarm_engine::{ClientOptions, EngineAddress, EngineClient, EngineError, Outgoing, PLAIN_PORT};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::election::{Election, Role};

/// Says that a manager has forwarded the request, and which.
const FORWARDED: HeaderName = HeaderName::from_static("x-swarm-forwarded");
/// For the look-up, the connect and the handshake: managers are near each other, and who asks waits.
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// How many unused connections to the primary are kept: clients come in bursts.
const MOST_IDLE: usize = 32;
/// How long a primary that could not be reached is not asked for what this manager can answer too.
const DOUBT: Duration = Duration::from_secs(1);
/// How long the last primary may still answer what it was asked, once there is another one. It
/// drains for ten seconds when it stops cleanly.
const PARTING: Duration = Duration::from_secs(15);

/// Sends requests on to the primary.
#[derive(Debug)]
pub struct Forwarder {
    election: Election,
    role: watch::Receiver<Role>,
    /// What this manager is called in [`FORWARDED`].
    ourselves: HeaderValue,
    options: ClientOptions,
    link: Mutex<Option<Link>>,
}

/// The primary and the connections to it.
#[derive(Debug, Clone)]
struct Link {
    primary: String,
    /// For what only reads; keeps connections.
    reads: EngineClient,
    /// For what changes something; keeps none.
    changes: EngineClient,
    doubted: Arc<Mutex<Option<Instant>>>,
}

impl Election {
    /// What a surface asks first, for every request; `None` where nothing is forwarded, which is
    /// without `--replication`. `options` hold the manager's own client certificates. Must be called
    /// within a runtime.
    pub fn forwarder(&self, options: ClientOptions) -> Option<Arc<Forwarder>> {
        if !self.replicates() {
            return None;
        }
        let name = HeaderValue::try_from(self.name());
        let forwarder = Arc::new(Forwarder {
            election: self.clone(),
            role: self.role(),
            ourselves: name.unwrap_or(HeaderValue::from_static("manager")),
            options: ClientOptions {
                connect_deadline: CONNECT_DEADLINE,
                max_idle: MOST_IDLE,
                // The primary has its own; what goes there is no change of ours.
                gate: None,
                ..options
            },
            link: Mutex::default(),
        });
        tokio::spawn(part(Arc::downgrade(&forwarder), self.role()));
        Some(forwarder)
    }
}

/// Cuts the connections to a primary that is one no more.
async fn part(forwarder: Weak<Forwarder>, mut role: watch::Receiver<Role>) {
    while role.changed().await.is_ok() {
        let Some(forwarder) = forwarder.upgrade() else { return };
        let now = role.borrow_and_update().clone();
        forwarder.leave_unless(&now);
    }
}

impl Forwarder {
    /// Lets the last primary go, if `role` names another one.
    fn leave_unless(&self, role: &Role) {
        let mut link = self.link.lock();
        let stays = match (role, link.as_ref()) {
            // Nobody else is known: what is under way there may go on.
            (_, None) | (Role::Replica { primary: None }, _) => true,
            (Role::Replica { primary: Some(primary) }, Some(link)) => *primary == link.primary,
            (Role::Primary { .. } | Role::Alone, Some(_)) => false,
        };
        if stays {
            return;
        }
        if let Some(Link { reads, changes, .. }) = link.take() {
            tokio::spawn(async move {
                sleep(PARTING).await;
                reads.sever();
                changes.sever();
            });
        }
    }

    /// Waits until `primary` is one no more.
    async fn replaced(&self, primary: &str) {
        let mut role = self.role.clone();
        let is_still = |role: &Role| matches!(role, Role::Replica { primary: Some(known) } if known == primary);
        if role.wait_for(|role| !is_still(role)).await.map(drop).is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The client for `primary`.
    fn link(&self, primary: &str) -> Result<Link> {
        self.leave_unless(&Role::Replica { primary: Some(primary.to_owned()) });
        let mut link = self.link.lock();
        if let Some(link) = &*link {
            return Ok(link.clone());
        }
        let address = EngineAddress::parse(primary, PLAIN_PORT).map_err(|error| {
            ApiError::unavailable(format!(
                "the primary manager advertises an address that cannot be used: {error}"
            ))
        })?;
        let single = ClientOptions { max_idle: 0, ..self.options.clone() };
        let made = Link {
            primary: primary.to_owned(),
            reads: EngineClient::new(address.clone(), self.options.clone()),
            changes: EngineClient::new(address, single),
            doubted: Arc::default(),
        };
        *link = Some(made.clone());
        Ok(made)
    }
}

#[async_trait]
impl Forward for Forwarder {
    async fn forward(&self, mut request: Onward) -> Result<Forwarded> {
        // Whoever forwarded it took this manager for the primary; engines see nothing of that.
        let by = request.headers.remove(FORWARDED);
        let primary = match &*self.role.borrow() {
            Role::Primary { .. } | Role::Alone => return Ok(Forwarded::Here(request)),
            Role::Replica { primary } => primary.clone(),
        };
        let Some(primary) = primary.filter(|_| by.is_none()) else {
            if request.reads {
                return Ok(Forwarded::Here(request));
            }
            return Err(self.election.refusal());
        };
        let link = self.link(&primary)?;
        let answerable = request.reads && request.body.is_end_stream();
        if answerable && link.is_doubted() {
            return Ok(Forwarded::Here(request));
        }
        request.headers.insert(FORWARDED, self.ourselves.clone());
        if !answerable {
            return match link.send(request).await {
                Ok(reply) => Ok(Forwarded::Answered(reply)),
                Err(failed) => Err(ApiError::unavailable(failed.words(&primary))),
            };
        }
        let mut kept = copy(&request);
        tokio::select! {
            sent = link.send(request) => match sent {
                Ok(reply) => return Ok(Forwarded::Answered(reply)),
                Err(failed) => debug!(%primary, %failed, "answered here"),
            },
            // One that hangs is not waited for longer than it has the lock.
            () = self.replaced(&primary) => debug!(%primary, "answered here: it is replaced"),
        }
        kept.headers.remove(FORWARDED);
        Ok(Forwarded::Here(kept))
    }
}

/// The same request, of one that has no body.
fn copy(request: &Onward) -> Onward {
    Onward {
        method: request.method.clone(),
        target: request.target.clone(),
        headers: request.headers.clone(),
        upgrade: request.upgrade.clone(),
        body: empty(),
        reads: request.reads,
    }
}

impl Link {
    fn is_doubted(&self) -> bool {
        self.doubted.lock().is_some_and(|since| since.elapsed() < DOUBT)
    }

    async fn send(&self, request: Onward) -> std::result::Result<Reply, Failed> {
        let client = if request.reads { &self.reads } else { &self.changes };
        let outgoing = Outgoing::onward(request);
        // No deadline: the primary has one for whatever it asks an engine, and a primary that died
        // is noticed by its connection, or by the next one's election.
        match client.send(outgoing, None).await {
            Ok(reply) => {
                *self.doubted.lock() = None;
                Ok(reply)
            }
            Err(error) => {
                *self.doubted.lock() = Some(Instant::now());
                Err(Failed(error))
            }
        }
    }
}

/// Why a primary gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(EngineError);

impl Failed {
    /// What a client is told whose change this manager cannot make itself.
    fn words(&self, primary: &str) -> String {
        match &self.0 {
            // Nothing was sent.
            EngineError::Connect(_) | EngineError::Tls(_) | EngineError::Deadline { .. } => {
                format!(
                    "the primary manager {primary} cannot be reached ({}); if it is gone, a new one is \
                 elected soon, try again in some seconds",
                    self.0
                )
            }
            EngineError::Request(reason) => {
                format!("the request cannot be sent on to the primary manager {primary}: {reason}")
            }
            _ => format!(
                "the primary manager {primary} went away before it answered: whether the change \
                 was made is not known, look before you try again"
            ),
        }
    }
}
