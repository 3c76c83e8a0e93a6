//! The agent as a whole: its parts started, and stopped in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use swarm_engine::EngineClient;
use swarm_rpc::v1;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::executor::engine::Engine;
use crate::executor::worker::{Command, Worker};
use crate::executor::{Shared, events};
use crate::files::Files;
use crate::session::dial::Dial;
use crate::session::{Session, describe};

/// Assignments on their way to the worker, which never waits.
const COMMANDS: usize = 64;
/// All tasks of a node stopped and removed, with the longest grace period that is usual.
pub(crate) const LEAVE: Duration = Duration::from_mins(5);

/// What an agent is told at its start.
pub struct AgentOptions {
    /// The node's own engine.
    pub engine: EngineClient,
    /// How managers are reached.
    pub dial: Arc<dyn Dial>,
    /// Addresses of managers, `host:port`; at least one that works.
    pub managers: Vec<String>,
    /// The node's id.
    pub node_id: String,
    /// The swarm's id: only containers that have it in their label are touched.
    pub cluster_id: String,
    /// Where files of secrets and configs lie, such as `/run/swarm/tasks`. On a disk, a tmpfs is mounted
    /// there. The engine has to see it under the same path.
    pub files: PathBuf,
    /// What the node's owner allows beyond Docker's, as `swarm_model::service::host::grants` reads it.
    pub allows: Vec<String>,
}

impl std::fmt::Debug for AgentOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentOptions")
            .field("engine", &self.engine)
            .field("managers", &self.managers)
            .field("node_id", &self.node_id)
            .field("cluster_id", &self.cluster_id)
            .finish_non_exhaustive()
    }
}

/// How long an agent that ends looks for a leader: one that has just been elected is found sooner.
const LINK: Duration = Duration::from_secs(2);
/// How long taking leave of the leader may take.
const FAREWELL: Duration = Duration::from_millis(1500);

/// Why an agent cannot start, or did not end as it was asked to, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AgentError(String);

impl AgentError {
    pub(crate) fn new(words: &impl ToString) -> Self {
        Self(words.to_string())
    }
}

/// An agent that runs. Dropped, it ends at once and leaves its containers as they are.
#[derive(Debug)]
pub struct Agent {
    commands: mpsc::Sender<Command>,
    managers: watch::Sender<Vec<String>>,
    wishes: watch::Receiver<Option<v1::Wish>>,
    leader: watch::Receiver<Option<String>>,
    lost: watch::Receiver<Option<String>>,
    engine_up: watch::Receiver<bool>,
    renew: Arc<Notify>,
    parting: CancellationToken,
    session: JoinHandle<()>,
    worker: JoinHandle<()>,
    others: [JoinHandle<()>; 2],
}

impl Agent {
    /// Starts an agent on the present runtime. It waits by itself for its engine and for a manager.
    pub fn start(options: AgentOptions) -> Result<Self, AgentError> {
        let files = Files::open(&options.files).map_err(AgentError)?;
        tracing::info!(node = options.node_id, cluster = options.cluster_id, "the agent starts");
        let shared =
            Shared::new(Engine::new(options.engine), &options.cluster_id, files, options.allows);
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (up, engine_up) = watch::channel(false);
        let (describes, description) = watch::channel(None);
        let (wish, wishes) = watch::channel(None);
        let (leads, leader) = watch::channel(None);
        let (loses, lost) = watch::channel(None);
        let (managers, _) = watch::channel(options.managers);
        let renew = Arc::new(Notify::new());
        let parting = CancellationToken::new();
        let session = Session {
            shared: Arc::clone(&shared),
            dial: options.dial,
            managers: managers.clone(),
            description,
            wishes: wish,
            leader: leads,
            lost: loses,
            commands: commands.clone(),
            renew: Arc::clone(&renew),
            parting: parting.clone(),
        };
        let describe = describe::follow(Arc::clone(&shared), engine_up.clone(), describes);
        Ok(Self {
            commands,
            managers,
            wishes,
            leader,
            lost,
            engine_up,
            renew,
            parting,
            session: tokio::spawn(session.run()),
            worker: tokio::spawn(Worker::new(Arc::clone(&shared)).run(inbox)),
            others: [tokio::spawn(describe), tokio::spawn(events::follow(shared, up))],
        })
    }

    /// What the swarm wants of this node; `None` until a leader said it.
    pub fn wishes(&self) -> watch::Receiver<Option<v1::Wish>> {
        self.wishes.clone()
    }

    /// The leader's address, while there is a link with it.
    pub fn leader(&self) -> watch::Receiver<Option<String>> {
        self.leader.clone()
    }

    /// Why there has been no link with the leader for long.
    pub fn lost(&self) -> Option<String> {
        self.lost.borrow().clone()
    }

    /// Whether the engine answers.
    pub fn engine_up(&self) -> watch::Receiver<bool> {
        self.engine_up.clone()
    }

    /// Where managers are now. The leader says it too, in its wishes.
    pub fn set_managers(&self, managers: Vec<String>) {
        self.managers.send_if_modified(|known| {
            let news = *known != managers;
            *known = managers;
            news
        });
    }

    /// Ends the link with the leader and makes another at once: with a new certificate, or new roots.
    pub fn reconnect(&self) {
        self.renew.notify_one();
    }

    /// Ends the agent. With `leave`, all tasks of this swarm are stopped and removed first; else their
    /// containers are left as they are, for an agent that adopts them.
    pub async fn stop(mut self, leave: bool) -> Result<(), AgentError> {
        // The leader hears that this node goes in order, and is patient with it. It may be a new one.
        let linked = self.leader.wait_for(Option::is_some);
        if tokio::time::timeout(LINK, linked).await.is_err() {
            tracing::info!("no leader is there to take leave of");
        }
        self.parting.cancel();
        if tokio::time::timeout(FAREWELL, &mut self.session).await.is_err() {
            self.session.abort();
        }
        if !leave {
            return Ok(());
        }
        let (done, removed) = oneshot::channel();
        let asked = self.commands.send(Command::Leave(done)).await;
        asked.map_err(|_| AgentError("the agent has ended already".to_owned()))?;
        match tokio::time::timeout(LEAVE, removed).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => {
                Err(AgentError("the agent ended before its tasks were removed".to_owned()))
            }
            Err(_) => {
                let up =
                    if *self.engine_up.borrow_and_update() { "" } else { ": the engine is away" };
                Err(AgentError(format!("tasks are left after {LEAVE:?}{up}")))
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.session.abort();
        self.worker.abort();
        for other in &self.others {
            other.abort();
        }
    }
}
