//! Reading one task's log from the engine, for one subscription.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use swarm_backend::{BoxError, ObjectPath};
use swarm_docker::Query;
use swarm_engine::{EngineError, Outgoing, refusal};
use swarm_rpc::v1::{LogChunk, LogsWanted};
use tokio::sync::mpsc;

use super::cut::{Cutter, Piece};
use crate::executor::Shared;
use crate::executor::engine::ASK;

/// The engine reads a large log without a word; a log that is not followed ends some time.
const SILENCE: Duration = Duration::from_mins(2);

pub(super) struct Reader {
    pub shared: Arc<Shared>,
    pub wanted: Arc<LogsWanted>,
    pub task: String,
    pub chunks: mpsc::Sender<LogChunk>,
}

/// Nobody takes the chunks any more.
struct Closed;

impl Reader {
    /// Reads to the end, and says why where that is not the log's.
    pub(super) async fn run(self, refused: Option<String>) {
        let ended = match refused {
            Some(words) => Err(words),
            None => self.read().await,
        };
        if let Err(error) = ended {
            let chunk = LogChunk {
                subscription: self.wanted.subscription.clone(),
                task_id: self.task.clone(),
                error,
                ..LogChunk::default()
            };
            // Nobody may be listening any more.
            let _ = self.chunks.send(chunk).await;
        }
    }

    /// The error is in words.
    async fn read(&self) -> Result<(), String> {
        let Some(mut entry) = self.shared.directory.get(&self.task) else {
            return Err(format!("task {} is not on this node", self.task));
        };
        if self.wanted.follow {
            // Until there is a container; when its runner ends before, there is nothing to read.
            let _ = entry.container.wait_for(Option::is_some).await;
        }
        let Some(container) = entry.container.borrow().clone() else { return Ok(()) };
        let path = self.path(&container);
        let reply = self.shared.engine.client.send(Outgoing::get(path), Some(ASK)).await;
        let mut reply = reply.map_err(|error| error.to_string())?;
        if !reply.status.is_success() {
            return Err(refusal(reply).await.to_string());
        }
        let mut cutter = Cutter::new(entry.terminal);
        loop {
            let frame = reply.body.frame();
            let frame = if self.wanted.follow {
                frame.await
            } else {
                let late = |_| format!("the engine said nothing for {SILENCE:?}");
                tokio::time::timeout(SILENCE, frame).await.map_err(late)?
            };
            let Some(frame) = frame else { break };
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            cutter.feed(&data);
            while let Some(piece) = cutter.next().map_err(|error| error.to_string())? {
                if self.pass_on(piece).await.is_err() {
                    return Ok(());
                }
            }
        }
        if let Some(piece) = cutter.rest() {
            // Nobody may be listening any more.
            let _ = self.pass_on(piece).await;
        }
        Ok(())
    }

    async fn pass_on(&self, piece: Piece) -> Result<(), Closed> {
        let chunk = LogChunk {
            subscription: self.wanted.subscription.clone(),
            task_id: self.task.clone(),
            stream: piece.stream,
            at: piece.at,
            line: piece.line,
            error: String::new(),
        };
        self.chunks.send(chunk).await.map_err(|_| Closed)
    }

    fn path(&self, container: &str) -> String {
        let wanted = &self.wanted;
        let bit = |on: bool| if on { "1" } else { "0" };
        let mut query = Query::default();
        query.push("follow", bit(wanted.follow));
        query.push("stdout", bit(wanted.stdout));
        query.push("stderr", bit(wanted.stderr));
        query.push("timestamps", "1");
        query.push("details", bit(wanted.details));
        for (key, value) in [("since", &wanted.since), ("tail", &wanted.tail)] {
            if !value.is_empty() {
                query.push(key, value);
            }
        }
        let after = format!("/logs?{}", query.encode());
        ObjectPath { before: "/containers/".to_owned(), after }.with(container)
    }
}

fn broken(error: BoxError) -> String {
    match error.downcast::<EngineError>() {
        Ok(error) => error.to_string(),
        Err(error) => error.to_string(),
    }
}
