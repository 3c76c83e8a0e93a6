//! A node's session: what it says is read and queued, what changes for it is sent. Both at once: a
//! node that reads slowly is heard all the same.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use serde::de::DeserializeOwned;
use swarm_model::node::NodeDescription;
use swarm_model::task::TaskStatus;
use swarm_model::time::lasting;
use swarm_model::{Data, Id, Time};
use swarm_rpc::v1::{FromAgent, Hello, Statuses, ToAgent, Welcome, from_agent, to_agent};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use super::assignments::Told;
use super::driven::Outcome;
use super::drivers::Ask;
use super::link::{Link, Mail};
use super::skew::Skew;
use super::word::{Word, tls_info};
use super::{Dispatcher, NodeIdentity, Office};

/// Who opens a session says who he is within this.
const HELLO: Duration = Duration::from_secs(10);

/// How long a node may take to hear why its session ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long the rest of a broken session is read for its end.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The longest status or description, in bytes: what fills the store is refused.
const LONGEST: usize = 256 * 1024;

/// What goes to the node.
pub type Outbound = mpsc::Sender<Result<ToAgent, Status>>;

/// One session.
#[derive(Debug)]
pub struct Session {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) office: Arc<Office>,
    pub(super) identity: NodeIdentity,
}

/// Why a session ended.
enum End {
    /// The node took leave.
    Leave,
    /// Nobody listens any more.
    Cut,
}

impl Session {
    /// Speaks with the node until one of both ends it.
    pub async fn run<S>(self, mut inbound: S, out: Outbound)
    where
        S: Stream<Item = Result<FromAgent, Status>> + Send + Unpin,
    {
        let node = &self.identity.node_id;
        match self.welcomed(&mut inbound, &out).await {
            Ok(End::Leave) => tracing::debug!(%node, "a node took leave"),
            Ok(End::Cut) => tracing::debug!(%node, "a node's session broke off"),
            Err(status) => {
                tracing::debug!(%node, why = status.message(), "a session is ended");
                timeout(FAREWELL, out.send(Err(status))).await.ok();
            }
        }
    }

    async fn welcomed<S>(&self, inbound: &mut S, out: &Outbound) -> Result<End, Status>
    where
        S: Stream<Item = Result<FromAgent, Status>> + Send + Unpin,
    {
        let first = tokio::select! {
            first = timeout(HELLO, inbound.next()) => first,
            () = self.office.reign.over.cancelled() => return Err(self.dispatcher.not_leading()),
        };
        let first = first.map_err(|_| {
            Status::deadline_exceeded(format!(
                "the session was opened and no hello came in {HELLO:?}"
            ))
        })?;
        let hello = match first {
            None | Some(Err(_)) => return Ok(End::Cut),
            Some(Ok(FromAgent { what: Some(from_agent::What::Hello(hello)) })) => hello,
            Some(Ok(_)) => return Err(Status::invalid_argument("a session begins with a hello")),
        };
        let node = &self.identity.node_id;
        let link = self.dispatcher.links.open(node);
        let ended = tokio::select! {
            ended = self.talk(&hello, &link, inbound, out) => ended,
            why = link.ended() => Err(why),
            () = self.office.reign.over.cancelled() => Err(self.dispatcher.not_leading()),
            () = out.closed() => Ok(End::Cut),
        };
        let ended = match ended {
            Ok(End::Cut) => Ok(last_words(inbound).await),
            ended => ended,
        };
        let is_last = self.dispatcher.links.close(&link);
        if is_last {
            self.dispatcher.logs.node_gone(node, "its session ended");
        }
        if is_last && matches!(ended, Ok(End::Leave)) {
            self.dispatcher.beats.lock().left(node, Instant::now());
            self.office.words.send(Word::Left { node: node.clone() }).await.ok();
        }
        ended
    }

    async fn talk<S>(
        &self,
        hello: &Hello,
        link: &Link,
        inbound: &mut S,
        out: &Outbound,
    ) -> Result<End, Status>
    where
        S: Stream<Item = Result<FromAgent, Status>> + Send + Unpin,
    {
        let node = self.identity.node_id.clone();
        self.heard();
        let mut description: Box<NodeDescription> = read(&hello.description, "description")?;
        tls_info(&mut description, &hello.roots, self.identity.issuer.as_ref());
        let told =
            self.dispatcher.replica.read(|tables| tables.nodes.get(&node).map(|it| it.clock_ahead));
        let mut skew = Skew::told(told.unwrap_or_default());
        self.queue(Word::Here { node, description, address: self.identity.address }).await?;
        self.clock(&mut skew, hello.now).await?;
        tokio::select! {
            ended = self.listen(inbound, skew) => ended,
            ended = self.tell(link, out) => ended,
        }
    }

    fn heard(&self) {
        self.dispatcher.beats.lock().heard(&self.identity.node_id, Instant::now());
    }

    /// Queues what the node said. While there is no room, nothing of it is read, which is no silence
    /// of the node's.
    async fn queue(&self, word: Word) -> Result<(), Status> {
        let every = self.dispatcher.beats.lock().period();
        let mut sending = std::pin::pin!(self.office.words.send(word));
        loop {
            match timeout(every, &mut sending).await {
                Ok(sent) => return sent.map_err(|_| self.dispatcher.not_leading()),
                Err(_) => self.heard(),
            }
        }
    }

    /// Takes note of what the node's clock shows; 0 where it does not say.
    async fn clock(&self, skew: &mut Skew, shown: i64) -> Result<(), Status> {
        if shown == 0 {
            return Ok(());
        }
        let Some(ahead) = skew.note(Time(shown).since(self.dispatcher.clock.wall())) else {
            return Ok(());
        };
        let node = self.identity.node_id.clone();
        let off = lasting(ahead);
        match ahead {
            0 => tracing::info!(%node, "a node's clock is in step with this manager's again"),
            1.. => tracing::warn!(%node, "a node's clock is {off} ahead of this manager's"),
            _ => tracing::warn!(%node, "a node's clock is {off} behind this manager's"),
        }
        self.queue(Word::Clock { node, ahead }).await
    }

    async fn listen<S>(&self, inbound: &mut S, mut skew: Skew) -> Result<End, Status>
    where
        S: Stream<Item = Result<FromAgent, Status>> + Send + Unpin,
    {
        let node = &self.identity.node_id;
        loop {
            let Some(message) = inbound.next().await else { return Ok(End::Leave) };
            let Ok(message) = message else { return Ok(End::Cut) };
            self.heard();
            match message.what {
                // A message of a newer version.
                None => {}
                Some(from_agent::What::Beat(beat)) => self.clock(&mut skew, beat.now).await?,
                Some(from_agent::What::Hello(_)) => {
                    return Err(Status::invalid_argument("a session has one hello"));
                }
                Some(from_agent::What::Description(description)) => {
                    let description = read(&description, "description")?;
                    self.queue(Word::Described { node: node.clone(), description }).await?;
                }
                Some(from_agent::What::Statuses(statuses)) => {
                    let statuses = self.statuses(statuses)?;
                    self.queue(Word::Statuses { node: node.clone(), statuses }).await?;
                }
            }
        }
    }

    fn statuses(&self, statuses: Statuses) -> Result<Vec<(Id, TaskStatus)>, Status> {
        let is_foreign = self.dispatcher.replica.read(|tables| {
            let foreign = statuses.statuses.iter().find(|status| {
                let task = tables.tasks.get(status.task_id.as_str());
                task.is_some_and(|task| task.node_id != self.identity.node_id)
            });
            foreign.map(|status| status.task_id.clone())
        });
        if let Some(task) = is_foreign {
            return Err(Status::permission_denied(format!("task {task} is not this node's")));
        }
        let read_one = |status: swarm_rpc::v1::Status| {
            let read: Box<TaskStatus> = read(&status.status, "status")?;
            Ok((Id::from(status.task_id.as_str()), *read))
        };
        statuses.statuses.into_iter().map(read_one).collect()
    }

    async fn tell(&self, link: &Link, out: &Outbound) -> Result<End, Status> {
        let period = self.dispatcher.beats.lock().period();
        let welcome = Welcome {
            session_id: format!("{}-{}", self.identity.node_id, link.number),
            beat_every: u64::try_from(period.as_millis()).unwrap_or(u64::MAX),
        };
        if !send(out, to_agent::What::Welcome(welcome)).await {
            return Ok(End::Cut);
        }
        let node = &self.identity.node_id;
        let (mut told, mut wished) = (Told::default(), None);
        let mut asking = FuturesUnordered::new();
        let mut mail = Mail { assignments: true, wish: true, ..Mail::default() };
        loop {
            if mail.wish {
                let common = self.dispatcher.common.borrow().clone();
                let wish = self.dispatcher.replica.read(|tables| common.wish(tables, node));
                let Some(wish) = wish else { return Err(removed(node)) };
                if wished.as_ref() != Some(&wish) {
                    wished = Some(wish.clone());
                    if !send(out, to_agent::What::Wish(wish)).await {
                        return Ok(End::Cut);
                    }
                }
            }
            if mail.assignments {
                let (news, asks) = self.dispatcher.replica.read(|tables| told.news(tables, node));
                asking.extend(asks.into_iter().map(|ask| self.ask(ask)));
                if let Some(news) = news
                    && !send(out, to_agent::What::Assignments(news)).await
                {
                    return Ok(End::Cut);
                }
            }
            for message in std::mem::take(&mut mail.messages) {
                if out.send(Ok(message)).await.is_err() {
                    return Ok(End::Cut);
                }
            }
            // Drivers keep nobody waiting but the tasks that need them.
            mail = tokio::select! {
                mail = link.mail() => mail,
                Some((ask, outcome, data)) = asking.next(), if !asking.is_empty() => {
                    let (given, asks) = self.dispatcher.replica.read(|tables| {
                        told.answered(tables, &ask, outcome, &data)
                    });
                    asking.extend(asks.into_iter().map(|ask| self.ask(ask)));
                    if let Some(given) = given
                        && !send(out, to_agent::What::Assignments(given)).await
                    {
                        return Ok(End::Cut);
                    }
                    Mail::default()
                }
            };
        }
    }

    fn ask(&self, ask: Ask) -> impl Future<Output = (Ask, Outcome, Data)> + use<> {
        ask.answer(self.dispatcher.drivers.get().cloned())
    }
}

/// Somebody who takes leave may close both directions at once. Whether that was so.
async fn last_words<S>(inbound: &mut S) -> End
where
    S: Stream<Item = Result<FromAgent, Status>> + Send + Unpin,
{
    let rest = async {
        loop {
            match inbound.next().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return End::Cut,
                None => return End::Leave,
            }
        }
    };
    timeout(LAST_WORDS, rest).await.unwrap_or(End::Cut)
}

/// The answer to a node that the swarm does not know (any more).
pub fn removed(node: &Id) -> Status {
    Status::not_found(format!("node {node} is not part of the swarm"))
}

async fn send(out: &Outbound, what: to_agent::What) -> bool {
    out.send(Ok(ToAgent { what: Some(what) })).await.is_ok()
}

fn read<T: DeserializeOwned>(json: &[u8], what: &str) -> Result<Box<T>, Status> {
    if json.len() > LONGEST {
        let size = json.len();
        return Err(Status::invalid_argument(format!(
            "the {what} has {size} bytes, and may have {LONGEST}"
        )));
    }
    serde_json::from_slice(json)
        .map(Box::new)
        .map_err(|error| Status::invalid_argument(format!("the {what} cannot be read: {error}")))
}
