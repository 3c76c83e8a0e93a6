//! The leader's side of every node's session: what nodes are to run goes out as soon as the store
//! shows it, what they say comes in and is written together.
//!
//! Reading order: [`identity`], [`session`] with [`link`], [`assignments`] and [`wish`] (what a node is
//! told: pure), [`drivers`] with [`driven`] (secrets that others have), [`word`] (what nodes say: pure) and [`writer`], [`beats`] (who is silent: pure), [`skew`]
//! (whose clock is off: pure), [`push`],
//! [`logs`], [`tunnels`] (to nodes' engines), [`service`] (the call).
//!
//! Invariants: only the leader has sessions, and a node has one; a node is told only of its own tasks,
//! and of the secrets and configs that they need; nothing that a node says is written outside the
//! leadership in which it was heard.

pub mod assignments;
pub mod beats;
pub mod driven;
pub mod drivers;
pub mod identity;
pub mod link;
pub mod logs;
pub mod push;
pub mod service;
pub mod session;
pub mod skew;
pub mod tunnels;
pub mod wish;
pub mod word;
pub mod writer;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use swarm_kv::StoreError;
use swarm_model::Id;
use swarm_model::node::NodeState;
use swarm_rpc::v1::{FromAgent, ToAgent};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::metadata::MetadataValue;

pub use identity::{Identify, NodeIdentity};
pub use logs::{LogEvent, LogOptions, LogSelector, LogSource, LogsError, Missing};

use self::beats::Beats;
use self::drivers::SecretDrivers;
use self::link::Links;
use self::logs::Broker;
use self::session::Session;
use self::tunnels::Tunnels;
use self::wish::Common;
use self::word::Word;
use crate::clock::Clock;
use crate::reign::Reign;
use crate::replica::Replica;

/// The metadata in which a manager that does not lead names the one that does.
pub const LEADER: &str = "swarm-leader";

/// How much of what nodes said may wait to be written; then it is no longer read.
const MOST_WORDS: usize = 1_024;

/// How much may wait on its way to one node.
const MOST_MESSAGES: usize = 8;

/// A manager that was just elected is about to lead.
const ABOUT_TO: Duration = Duration::from_secs(2);

/// The dispatcher of this manager.
#[derive(Debug)]
pub struct Dispatcher {
    replica: Arc<Replica>,
    identify: Identify,
    clock: Clock,
    office: watch::Sender<Option<Arc<Office>>>,
    links: Links,
    beats: Mutex<Beats>,
    common: watch::Sender<Common>,
    logs: Broker,
    tunnels: Tunnels,
    drivers: OnceLock<Arc<dyn SecretDrivers>>,
}

/// What there is only while this manager leads.
#[derive(Debug)]
pub struct Office {
    reign: Reign,
    words: mpsc::Sender<Word>,
}

impl Dispatcher {
    /// One that has no sessions until this manager leads.
    pub fn new(replica: Arc<Replica>, identify: Identify, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            replica,
            identify,
            clock,
            office: watch::Sender::new(None),
            links: Links::default(),
            beats: Mutex::new(Beats::new(Duration::from_secs(1))),
            common: watch::Sender::new(Common::default()),
            logs: Broker::default(),
            tunnels: Tunnels::default(),
            drivers: OnceLock::new(),
        })
    }

    /// Who reaches the drivers of secrets; without one, each task that needs a driver is told so.
    pub fn drive(&self, drivers: Arc<dyn SecretDrivers>) {
        // The first one stays.
        let _ = self.drivers.set(drivers);
    }

    /// Has sessions for one leadership. Only an error ends it.
    pub async fn serve(self: Arc<Self>, reign: Reign) -> Result<(), StoreError> {
        let (words, inbox) = mpsc::channel(MOST_WORDS);
        let feed = self.replica.feed();
        let (period, left, nodes) = self.replica.read(|tables| {
            let nodes = tables.nodes.values().filter(|node| node.status.state != NodeState::Down);
            let nodes = nodes.map(|node| (node.id.clone(), node.status.state));
            let (left, nodes): (Vec<_>, Vec<_>) =
                nodes.partition(|(_, state)| *state == NodeState::Disconnected);
            (wish::period(tables.cluster.as_deref()), left, nodes)
        });
        push::common(&self).await;
        // From here on, not earlier: nodes can come in a moment.
        let mut beats = Beats::new(period);
        let ids = |nodes: Vec<(Id, NodeState)>| nodes.into_iter().map(|(id, _)| id);
        beats.begin(ids(nodes), ids(left), Instant::now());
        *self.beats.lock() = beats;
        let mut parts = JoinSet::new();
        parts.spawn(writer::run(Arc::clone(&self), reign.clone(), inbox));
        parts.spawn(push::run(Arc::clone(&self), feed));
        parts.spawn(push::listen(Arc::clone(&self), words.clone()));
        self.office.send_replace(Some(Arc::new(Office { reign, words })));
        let ended = parts.join_next().await;
        self.resign();
        match ended {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => Err(StoreError::Refused {
                store: "the swarm's store".to_owned(),
                reason: format!("a part of the dispatcher broke off: {error}"),
            }),
            None => Ok(()),
        }
    }

    /// Ends all sessions: this manager leads no longer.
    pub fn resign(&self) {
        if self.office.send_replace(None).is_some() {
            for link in self.links.all() {
                link.end(self.not_leading());
            }
            self.logs.end();
        }
    }

    /// Opens a session for a node that is known by its certificate. The answer comes before the
    /// node's first word; what is wrong with that ends the session.
    pub async fn open<S>(
        self: &Arc<Self>,
        identity: NodeIdentity,
        inbound: S,
    ) -> Result<ReceiverStream<Result<ToAgent, Status>>, Status>
    where
        S: Stream<Item = Result<FromAgent, Status>> + Send + Unpin + 'static,
    {
        let office = self.office().await?;
        let node = &identity.node_id;
        let is_known = self.replica.read(|tables| {
            let cluster = tables.cluster.as_ref();
            let is_removed = cluster.is_some_and(|cluster| cluster.removed.contains_key(node));
            tables.nodes.contains_key(node) && !is_removed
        });
        if !is_known {
            return Err(session::removed(node));
        }
        let (out, messages) = mpsc::channel(MOST_MESSAGES);
        let session = Session { dispatcher: Arc::clone(self), office, identity };
        tokio::spawn(session.run(inbound, out));
        Ok(ReceiverStream::new(messages))
    }

    /// How many nodes have a session.
    pub fn sessions(&self) -> usize {
        self.links.len()
    }

    async fn office(&self) -> Result<Arc<Office>, Status> {
        let leads = || self.replica.store().leadership().borrow().leads;
        let mut office = self.office.subscribe();
        let present = office.borrow_and_update().clone();
        if let Some(present) = present {
            return Ok(present);
        }
        if !leads() {
            return Err(self.not_leading());
        }
        let begun = timeout(ABOUT_TO, office.wait_for(Option::is_some)).await;
        let begun = begun.ok().and_then(Result::ok).and_then(|office| (*office).clone());
        begun.ok_or_else(|| self.not_leading())
    }

    /// The answer of a manager that does not lead; it names the one that does.
    fn not_leading(&self) -> Status {
        let leadership = self.replica.store().leadership();
        let leadership = leadership.borrow();
        if leadership.leads {
            return Status::unavailable("this manager is about to lead: try again");
        }
        let Some(leader) = &leadership.leader else {
            return Status::failed_precondition(
                "this manager does not lead, and knows nobody who does",
            );
        };
        let mut status =
            Status::failed_precondition(format!("this manager does not lead; {leader} does"));
        if let Ok(leader) = MetadataValue::try_from(leader.as_str()) {
            status.metadata_mut().insert(LEADER, leader);
        }
        status
    }
}

#[cfg(test)]
mod tests;
