//! Who was asked for which tasks' lines, and where they go.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use swarm_model::Id;
use swarm_rpc::v1::{LogChunk, LogsDone};
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use super::super::NodeIdentity;

/// What a node was asked for. A subscription asks each node once, and again for tasks that come later.
#[derive(Debug, Clone)]
pub struct Want {
    /// Which node.
    pub node: Id,
    /// For the lines of these.
    pub tasks: BTreeSet<Id>,
    /// Where they go.
    pub lines: mpsc::Sender<Heard>,
    /// Where it is told that none will come any more: once for each want, so it is bounded.
    pub gone: mpsc::UnboundedSender<(String, String)>,
}

/// What comes of a want.
#[derive(Debug)]
pub enum Heard {
    /// The node answers.
    Begun(String),
    /// A line.
    Line(Id, LogChunk),
    /// That was all; why, if it was not.
    Done(String, Option<String>),
}

/// All wants.
#[derive(Debug, Default)]
pub struct Broker {
    wants: Mutex<HashMap<String, Want>>,
    numbers: AtomicU64,
}

impl Broker {
    /// Takes a want in. Its name, which nodes give with each line.
    pub fn want(&self, want: Want) -> String {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        // By chance too: a node that is asked again by another leader must not mistake one for another.
        let name = format!("{:08x}-{number}", rand::random::<u32>());
        self.wants.lock().insert(name.clone(), want);
        name
    }

    /// Forgets a want.
    pub fn forget(&self, name: &str) {
        self.wants.lock().remove(name);
    }

    /// A node will not answer (any more).
    pub fn node_gone(&self, node: &Id, why: &str) {
        self.wants.lock().retain(|name, want| {
            let is_its = want.node == *node;
            if is_its {
                want.gone.send((name.clone(), why.to_owned())).ok();
            }
            !is_its
        });
    }

    /// Forgets all wants: this manager no longer leads.
    pub fn end(&self) {
        self.wants.lock().clear();
    }

    /// Takes in what a node publishes.
    pub async fn publish<S>(
        &self,
        identity: &NodeIdentity,
        named: Option<String>,
        mut chunks: S,
    ) -> Result<LogsDone, Status>
    where
        S: Stream<Item = Result<LogChunk, Status>> + Send + Unpin,
    {
        let mut want = None;
        let mut ended = Ok(());
        if let Some(name) = named {
            want = Some(self.begin(identity, name).await?);
        }
        while let Some(chunk) = chunks.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(status) => {
                    ended = Err(status);
                    break;
                }
            };
            let (name, want) = match &want {
                Some(want) => want,
                None => want.insert(self.begin(identity, chunk.subscription.clone()).await?),
            };
            if chunk.subscription != *name || !want.tasks.contains(chunk.task_id.as_str()) {
                let task = &chunk.task_id;
                return Err(Status::permission_denied(format!(
                    "the node was not asked for the logs of task {task}"
                )));
            }
            let line = Heard::Line(identity.node_id.clone(), chunk);
            if want.lines.send(line).await.is_err() {
                return Err(over());
            }
        }
        if let Some((name, want)) = want {
            let why =
                ended.as_ref().err().map(|status| format!("it broke off: {}", status.message()));
            want.lines.send(Heard::Done(name.clone(), why)).await.ok();
            self.forget(&name);
        }
        ended.map(|()| LogsDone {})
    }

    async fn begin(&self, identity: &NodeIdentity, name: String) -> Result<(String, Want), Status> {
        let want = self.wants.lock().get(&name).cloned();
        let want = want.filter(|want| want.node == identity.node_id).ok_or_else(over)?;
        want.lines.send(Heard::Begun(name.clone())).await.map_err(|_| over())?;
        Ok((name, want))
    }
}

fn over() -> Status {
    Status::not_found("nobody waits for these logs (any more)")
}
