//! Whose request it is: this manager's where it leads, and otherwise the leader's, to which it goes as
//! it came.
//!
//! Requests are sent on one by one and not connections as a whole: a connection that a client keeps
//! outlives a leader, and its next request then goes to the next one. Each has a connection of its own
//! to the leader, since nobody could say of a kept one that is closed under a request whether that was
//! carried out.
//!
//! Invariant: a request goes one step: what another manager sent on is answered here or refused.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use swarm_backend::{ApiError, Forward, Forwarded, Onward, Result};
use swarm_engine::{ClientOptions, EngineAddress, EngineClient, EngineError, Outgoing};
use swarm_manager::control::NO_LEADER;
use swarm_pool::Pool;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::follow::Sight;
use super::own_info;
use super::way::ToManagers;
use crate::node::Node;
use crate::words;

/// How long a client waits for a leader: an election takes about a second.
const ELECTION: Duration = Duration::from_secs(3);
/// How long after a leadership began requests wait for nodes to come and be read: they look for the new
/// leader for a second.
const ARRIVAL: Duration = Duration::from_secs(4);
/// How long of that is for nodes that nobody has heard of yet.
const COMING: Duration = Duration::from_millis(1500);

/// Who sent a request here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// A client.
    Client,
    /// Another manager, which takes this one for the leader.
    Manager,
}

/// Sends requests on to the leader.
#[derive(Debug, Clone)]
pub struct Forwarder {
    node: Arc<Node>,
    pool: Arc<Pool>,
    sight: watch::Receiver<Sight>,
    from: From,
    /// The leader that was asked last, and the way there.
    leader: Arc<Mutex<Option<(String, EngineClient)>>>,
}

impl Forwarder {
    pub(super) fn new(node: Arc<Node>, pool: Arc<Pool>, sight: watch::Receiver<Sight>) -> Self {
        Self { node, pool, sight, from: From::Client, leader: Arc::default() }
    }

    pub(super) fn of(&self, from: From) -> Self {
        Self { from, ..self.clone() }
    }

    /// The leader's address; `None` where this manager leads, and is ready to.
    async fn leader(&self) -> Result<Option<String>> {
        let manager = self.node.manager().map_err(|_| {
            let standing = self.node.standing();
            words::no_cluster(standing.part(), self.node.trouble().as_deref())
        })?;
        let mut leadership = manager.store().leadership();
        let known = leadership.wait_for(|now| now.leads || now.leader.is_some());
        let known = timeout(ELECTION, known).await.ok().and_then(std::result::Result::ok);
        let known = known.map(|now| (now.leads, now.leader.clone()));
        match known {
            Some((true, _)) => {}
            Some((false, Some(leader))) => return Ok(Some(leader)),
            _ => return Err(ApiError::unavailable(NO_LEADER)),
        }
        let mut sight = self.sight.clone();
        let begun = timeout(ELECTION, sight.wait_for(|sight| sight.since.is_some())).await;
        let since = begun.ok().and_then(std::result::Result::ok).and_then(|sight| sight.since);
        let Some(since) = since else { return Err(ApiError::unavailable(NO_LEADER)) };
        // Who did not come by then is shown as it is.
        let _ = timeout_at(since + ARRIVAL, self.arrived(since)).await;
        Ok(None)
    }

    /// Waits until the nodes that came to this leader have been read, and a moment for the others.
    async fn arrived(&self, since: Instant) {
        let mut sight = self.sight.clone();
        loop {
            let now = sight.borrow_and_update().clone();
            if now.since != Some(since) {
                return;
            }
            tokio::select! {
                () = self.pool.reach(&now.ready) => {}
                changed = sight.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            }
            if !now.awaits {
                return;
            }
            tokio::select! {
                () = sleep_until(since + COMING) => return,
                changed = sight.changed() => if changed.is_err() { return },
            }
        }
    }

    /// The way to another manager's cluster endpoint.
    pub(super) fn client(&self, leader: &str) -> EngineClient {
        let mut known = self.leader.lock();
        match &*known {
            Some((address, client)) if address == leader => client.clone(),
            _ => {
                let address = EngineAddress::Node { id: leader.to_owned(), ip: None };
                let options = ClientOptions {
                    max_idle: 0,
                    tunnels: Some(Arc::new(ToManagers(Arc::clone(&self.node)))),
                    ..ClientOptions::default()
                };
                let client = EngineClient::new(address, options);
                *known = Some((leader.to_owned(), client.clone()));
                client
            }
        }
    }
}

#[async_trait]
impl Forward for Forwarder {
    /// What a pool's managers each answer for themselves is the leader's word, too: it alone knows the
    /// engines, and so which versions they speak.
    fn takes(&self, _pattern: &str) -> bool {
        true
    }

    async fn forward(&self, request: Onward) -> Result<Forwarded> {
        let path = unversioned(request.target.split('?').next().unwrap_or_default());
        let (is_ping, is_info) = (path == "/_ping", path == "/info");
        // The swarm's, which any manager has.
        if path == "/nodes" || path.starts_with("/nodes/") {
            return Ok(Forwarded::Here(request));
        }
        let leader = match self.leader().await {
            Ok(None) => return Ok(Forwarded::Here(request)),
            Ok(Some(leader)) if self.from == From::Client => leader,
            // Whether this node is a manager, and that its endpoint is there, can be told by anyone.
            Ok(Some(_)) | Err(_) if is_ping => return Ok(Forwarded::Here(request)),
            Ok(Some(leader)) => {
                return Err(ApiError::unavailable(format!(
                    "this manager does not lead the swarm any more, {leader} does: try again"
                )));
            }
            Err(error) => return Err(error),
        };
        let outgoing = Outgoing::onward(request);
        // No deadline: the leader has one for whatever it asks an engine, and one that is gone is
        // noticed by its connection.
        match self.client(&leader).send(outgoing, None).await {
            Ok(reply) if is_info => {
                own_info::with_own(reply, &self.node.info()).await.map(Forwarded::Answered)
            }
            Ok(reply) => Ok(Forwarded::Answered(reply)),
            Err(error) => Err(ApiError::unavailable(failed(&leader, &error))),
        }
    }
}

/// A path without its version in front.
fn unversioned(path: &str) -> &str {
    let Some((version, rest)) = path.strip_prefix("/v").and_then(|rest| rest.split_once('/'))
    else {
        return path;
    };
    let is_version = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let at = path.len() - rest.len() - 1;
    if is_version { path.get(at..).unwrap_or(path) } else { path }
}

/// What a client is told when the leader gave no answer.
fn failed(leader: &str, error: &EngineError) -> String {
    match error {
        EngineError::Connect(_) | EngineError::Deadline { .. } => format!(
            "the manager that leads the swarm ({leader}) cannot be reached ({error}); if it is gone, \
             another one leads soon: try again in some seconds"
        ),
        EngineError::Request(reason) => {
            format!("the request cannot be sent on to the manager {leader}: {reason}")
        }
        _ => format!(
            "the manager that leads the swarm ({leader}) went away before it answered: whether the \
             request was carried out is not known, look before you try again"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_in_front_is_no_part_of_the_path() {
        for (path, rest) in [
            ("/v1.41/nodes", "/nodes"),
            ("/nodes/a", "/nodes/a"),
            ("/v1.52/_ping", "/_ping"),
            ("/volumes/v1.41/nodes", "/volumes/v1.41/nodes"),
            ("/volumes", "/volumes"),
            ("/v", "/v"),
            ("", ""),
        ] {
            assert_eq!(unversioned(path), rest);
        }
    }

    #[test]
    fn a_leader_that_gave_no_answer_is_told_by_what_it_may_have_done() {
        let gone = EngineError::Deadline { what: "connection", after: ELECTION };
        assert!(failed("m:1", &gone).contains("another one leads soon"));
        assert!(failed("m:1", &EngineError::Severed).contains("not known, look before"));
    }
}
