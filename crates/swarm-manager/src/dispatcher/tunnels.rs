//! Connections to the engines of nodes, which no address leads to: the leader asks a node's agent for
//! one, the agent dials back and says which it is, and from then on the two ends are one connection.
//!
//! Reading order: [`Dispatcher::tunnel`] (asked for), [`Dispatcher::arrived`] (come), `stream` (what it is then).
//!
//! Invariants: a tunnel is handed to nobody but who asked for it, and only when the node that was asked
//! opened it, by its certificate; it ends with the session in which it was asked for; how many a node
//! has, and how many connections may be about to say what they are, is bounded.

mod stream;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use swarm_model::Id;
use swarm_rpc::preamble::{self, TunnelId};
use swarm_rpc::v1::{OpenTunnel, ToAgent, to_agent};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

pub use stream::{Raw, Tunnel};

use super::Dispatcher;

/// How long a node may be between two sessions, or on its way to a new leader.
const LINK: Duration = Duration::from_millis(600);
/// How long a node may take to reach its engine and this manager. Whoever looks whether an engine is
/// there has about as much patience.
const OPEN: Duration = Duration::from_secs(4);
/// How long a connection may take to say which tunnel it is.
const PREAMBLE: Duration = Duration::from_secs(5);
/// How many connections one node's engine has through here: each is somebody's command, or a stream
/// that he reads.
pub const MOST: usize = 512;
/// How many connections may be about to say what they are.
const ARRIVING: usize = 256;

/// Why there is no tunnel. Each names the node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TunnelError {
    /// It is not there, or it is another leader's.
    #[error("node {0} has no session with this manager")]
    NoSession(String),
    /// It has as many as it may have.
    #[error("node {0} has {MOST} connections to its engine already")]
    Many(String),
    /// It does not read what it is told.
    #[error("node {0} takes no more messages")]
    Deaf(String),
    /// Nothing came.
    #[error("node {0} has not opened a connection to its engine within {OPEN:?}")]
    Late(String),
    /// Its session ended meanwhile.
    #[error("the session of node {0} ended")]
    Over(String),
    /// It cannot reach its engine.
    #[error("node {node} does not reach its engine: {words}")]
    Engine {
        /// The node.
        node: String,
        /// In its words.
        words: String,
    },
}

/// What is awaited of a node.
struct Wanted {
    node: Id,
    arrived: oneshot::Sender<Result<Box<dyn Raw>, String>>,
}

/// The tunnels that are asked for and have not come.
pub struct Tunnels {
    wanted: Mutex<HashMap<TunnelId, Wanted>>,
    arriving: Arc<Semaphore>,
}

impl Default for Tunnels {
    fn default() -> Self {
        Self { wanted: Mutex::default(), arriving: Arc::new(Semaphore::new(ARRIVING)) }
    }
}

impl std::fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnels").field("wanted", &self.wanted.lock().len()).finish_non_exhaustive()
    }
}

/// Takes back what was asked for when nobody waits for it any more.
struct Asked<'d>(&'d Tunnels, TunnelId);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.wanted.lock().remove(&self.1);
    }
}

impl Dispatcher {
    /// A connection to the engine of a node that is linked with this manager.
    pub async fn tunnel(&self, node: &str) -> Result<Tunnel, TunnelError> {
        let known = self
            .replica
            .read(|tables| tables.nodes.get(node).map(|known| known.description.hostname.clone()));
        // As a person knows it.
        let name = known.filter(|host| !host.is_empty()).unwrap_or_else(|| node.to_owned());
        let link = timeout(LINK, self.links.wait_for(node)).await;
        let link = link.map_err(|_| TunnelError::NoSession(name.clone()))?;
        let place = Arc::clone(&link.tunnels).try_acquire_owned();
        let place = place.map_err(|_| TunnelError::Many(name.clone()))?;
        let id = TunnelId(rand::random());
        let (arrived, arrival) = oneshot::channel();
        let wanted = Wanted { node: link.node.clone(), arrived };
        self.tunnels.wanted.lock().insert(id, wanted);
        let _asked = Asked(&self.tunnels, id);
        let open = OpenTunnel { id: id.0.to_vec().into() };
        if !link.say(ToAgent { what: Some(to_agent::What::Tunnel(open)) }) {
            return Err(TunnelError::Deaf(name));
        }
        let arrived = tokio::select! {
            arrived = timeout(OPEN, arrival) => arrived,
            () = link.over.cancelled() => return Err(TunnelError::Over(name)),
        };
        match arrived {
            Ok(Ok(Ok(raw))) => Ok(Tunnel::new(raw, &link.over, place)),
            Ok(Ok(Err(words))) => Err(TunnelError::Engine { node: name, words }),
            Ok(Err(_)) | Err(_) => Err(TunnelError::Late(name)),
        }
    }

    /// A connection of a node, as its certificate names it, that says which tunnel it is. Returns at
    /// once.
    pub fn arrived(self: &Arc<Self>, node: Id, mut raw: Box<dyn Raw>) {
        let Ok(place) = Arc::clone(&self.tunnels.arriving).try_acquire_owned() else {
            tracing::warn!(%node, "too many connections are about to say what they are");
            return;
        };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let read = timeout(PREAMBLE, preamble::read(&mut raw)).await;
            drop(place);
            match read {
                Ok(Ok((id, opened))) => this.hand_over(&node, id, opened.map(|()| raw)),
                Ok(Err(error)) => tracing::debug!(%node, %error, "a tunnel that says nothing"),
                Err(_) => tracing::debug!(%node, "a tunnel that did not say which it is"),
            }
        });
    }

    fn hand_over(&self, node: &Id, id: TunnelId, opened: Result<Box<dyn Raw>, String>) {
        let mut wanted = self.tunnels.wanted.lock();
        match wanted.get(&id) {
            Some(asked) if asked.node == *node => {}
            Some(asked) => {
                let of = &asked.node;
                tracing::warn!(%node, %of, "a node opened a tunnel that another one was asked for");
                return;
            }
            None => {
                tracing::debug!(%node, "a tunnel that nobody waits for");
                return;
            }
        }
        if let Some(asked) = wanted.remove(&id) {
            // Whoever does not wait any more lets it go.
            let _ = asked.arrived.send(opened);
        }
    }
}
