//! A leader without a cluster: it serves `Dispatcher` on loopback, says what a test has it say, and keeps
//! what nodes tell it.
//!
//! Invariant: what a node said is kept before anyone who waits for it wakes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use serde_json::Value;
use swarm_rpc::v1::dispatcher_server::{Dispatcher, DispatcherServer};
use swarm_rpc::v1::{
    Assignments, FromAgent, LogChunk, LogsDone, ToAgent, Welcome, from_agent, to_agent,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// The longest that a test waits for a node.
const PATIENCE: Duration = Duration::from_mins(1);

/// What nodes said, in their order.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Sessions so far.
    pub sessions: usize,
    /// The description of the last hello, or of a later word.
    pub description: Value,
    /// Beats so far.
    pub beats: usize,
    /// Every status of each task.
    pub statuses: HashMap<String, Vec<Value>>,
    /// Lines of logs, and errors in their place.
    pub logs: Vec<LogChunk>,
    /// Streams of logs that have ended, well or broken off.
    pub logs_ended: usize,
}

impl Heard {
    /// The last status of a task.
    pub fn last(&self, task: &str) -> Option<&Value> {
        self.statuses.get(task)?.last()
    }

    /// The states of a task, in their order.
    pub fn states(&self, task: &str) -> Vec<String> {
        let all = self.statuses.get(task).into_iter().flatten();
        all.filter_map(|status| Some(status["State"].as_str()?.to_owned())).collect()
    }
}

#[derive(Debug, Default)]
struct Inner {
    heard: watch::Sender<Heard>,
    outbox: Mutex<Option<mpsc::Sender<Result<ToAgent, Status>>>>,
    /// The address of another who leads.
    other: Mutex<Option<String>>,
    /// Said to each node that comes.
    first: Mutex<Vec<ToAgent>>,
}

/// A fake leader; dropped, its connections break.
#[derive(Debug)]
pub struct Leader {
    address: SocketAddr,
    inner: Arc<Inner>,
    server: JoinHandle<()>,
}

impl Leader {
    /// Serves on a free port.
    pub async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let inner = Arc::new(Inner::default());
        let service = DispatcherServer::new(Service(Arc::clone(&inner)));
        let serving = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the fake leader cannot serve");
            }
        });
        Ok(Self { address, inner, server })
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Sends nodes to another; `None` leads again.
    pub fn follow(&self, other: Option<String>) {
        *self.inner.other.lock() = other;
    }

    /// Says this to each node that comes, and to the one that is here.
    pub fn say_always(&self, what: to_agent::What) -> Result<()> {
        self.inner.first.lock().push(ToAgent { what: Some(what.clone()) });
        if self.inner.outbox.lock().is_some() { self.say(what) } else { Ok(()) }
    }

    /// Says this to the node that is here.
    pub fn say(&self, what: to_agent::What) -> Result<()> {
        let outbox = self.inner.outbox.lock().clone().context("no node is here")?;
        outbox.try_send(Ok(ToAgent { what: Some(what) })).context("the node takes nothing")
    }

    /// Assigns tasks (JSON), beside those before or (`whole`) in their place.
    pub fn assign(&self, whole: bool, tasks: &[Value], gone: &[&str]) -> Result<()> {
        self.say(to_agent::What::Assignments(Assignments {
            whole,
            tasks: tasks.iter().map(|task| task.to_string().into()).collect(),
            gone_tasks: gone.iter().map(|task| (*task).to_owned()).collect(),
            ..Assignments::default()
        }))
    }

    /// Ends the node's session.
    pub fn hang_up(&self) {
        self.inner.outbox.lock().take();
    }

    /// What was heard so far.
    pub fn heard(&self) -> Heard {
        self.inner.heard.borrow().clone()
    }

    /// Waits until what was heard is so.
    pub async fn until(&self, what: &str, is_so: impl FnMut(&Heard) -> bool) -> Result<Heard> {
        let mut heard = self.inner.heard.subscribe();
        let mut is_so = is_so;
        let found = tokio::time::timeout(PATIENCE, heard.wait_for(|heard| is_so(heard))).await;
        match found {
            Ok(found) => Ok(found?.clone()),
            Err(_) => anyhow::bail!("not within {PATIENCE:?}: {what}; heard: {:#?}", self.heard()),
        }
    }

    /// Waits until a task's last state is this one; its status.
    pub async fn state(&self, task: &str, state: &str) -> Result<Value> {
        let is = |heard: &Heard| heard.last(task).is_some_and(|status| status["State"] == state);
        let heard = self.until(&format!("{task} is {state}"), is).await?;
        heard.last(task).cloned().context("it was there")
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.server.abort();
        // Connections outlive the listener.
        self.hang_up();
    }
}

struct Service(Arc<Inner>);

impl Inner {
    fn note(&self, change: impl FnOnce(&mut Heard)) {
        self.heard.send_modify(change);
    }

    fn take(&self, message: FromAgent) {
        let json = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
        match message.what {
            Some(from_agent::What::Beat(_)) => self.note(|heard| heard.beats += 1),
            Some(from_agent::What::Description(bytes)) => {
                self.note(|heard| heard.description = json(&bytes));
            }
            Some(from_agent::What::Statuses(all)) => self.note(|heard| {
                for status in all.statuses {
                    let told = json(&status.status);
                    heard.statuses.entry(status.task_id).or_default().push(told);
                }
            }),
            Some(from_agent::What::Hello(_)) | None => {}
        }
    }
}

#[tonic::async_trait]
impl Dispatcher for Service {
    type SessionStream = ReceiverStream<Result<ToAgent, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<FromAgent>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        if let Some(other) = self.0.other.lock().clone() {
            let mut status = Status::failed_precondition("this manager does not lead");
            if let Ok(other) = other.parse() {
                status.metadata_mut().insert("swarm-leader", other);
            }
            return Err(status);
        }
        let mut inbox = request.into_inner();
        let Some(FromAgent { what: Some(from_agent::What::Hello(hello)) }) =
            inbox.message().await?
        else {
            return Err(Status::invalid_argument("a hello comes first"));
        };
        let (outbox, messages) = mpsc::channel(256);
        let welcome = Welcome { session_id: "s".to_owned(), beat_every: 100 };
        let mut first = vec![ToAgent { what: Some(to_agent::What::Welcome(welcome)) }];
        first.extend(self.0.first.lock().iter().cloned());
        for message in first {
            let full = |_| Status::resource_exhausted("too much to say");
            outbox.try_send(Ok(message)).map_err(full)?;
        }
        *self.0.outbox.lock() = Some(outbox);
        self.0.note(|heard| {
            heard.sessions += 1;
            heard.description = serde_json::from_slice(&hello.description).unwrap_or(Value::Null);
        });
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            while let Ok(Some(message)) = inbox.message().await {
                inner.take(message);
            }
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }

    async fn publish_logs(
        &self,
        request: Request<Streaming<LogChunk>>,
    ) -> Result<Response<LogsDone>, Status> {
        let mut chunks = request.into_inner();
        // Broken off, this call is dropped where it waits.
        let _ended = Ended(Arc::clone(&self.0));
        while let Some(chunk) = chunks.next().await.transpose()? {
            self.0.note(|heard| heard.logs.push(chunk));
        }
        Ok(Response::new(LogsDone {}))
    }
}

/// Notes the end of a stream of logs.
struct Ended(Arc<Inner>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.note(|heard| heard.logs_ended += 1);
    }
}
