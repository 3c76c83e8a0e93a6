//! Logs at a manager that does not lead: it asks the leader, which has the nodes, and passes on what
//! that says.
//!
//! Invariant: a manager never asks on behalf of another; who asks a manager that does not lead (any
//! more) is told so.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use swarm_rpc::v1::leader_client::LeaderClient;
use swarm_rpc::v1::leader_server;
use swarm_rpc::v1::logs_event::What;
use swarm_rpc::v1::{LogsEvent, LogsLine, LogsMissing, LogsOver, LogsRequest};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{LogEvent, LogOptions, LogSelector, LogSource, LogsError, MOST_LINES, Missing};
use crate::authority::calling_manager;
use crate::dispatcher::Dispatcher;
use crate::transport::Managers;

/// How long the leader may take to begin its answer.
const BEGIN: Duration = Duration::from_secs(5);

/// Logs from whoever leads.
#[derive(Debug)]
pub struct Relay {
    own: Arc<Dispatcher>,
    managers: Arc<Managers>,
}

impl Relay {
    /// From this manager's dispatcher when it leads, and over the way to `managers` when not.
    pub fn new(own: Arc<Dispatcher>, managers: Arc<Managers>) -> Self {
        Self { own, managers }
    }

    async fn ask(
        &self,
        leader: &str,
        request: LogsRequest,
    ) -> Result<Streaming<LogsEvent>, String> {
        let channel = self.managers.calls(leader).await?;
        let asking =
            tokio::time::timeout(
                BEGIN,
                async move { LeaderClient::new(channel).logs(request).await },
            );
        match asking.await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(format!("{leader}: {}", status.message())),
            Err(_) => Err(format!("{leader}: no answer within {BEGIN:?}")),
        }
    }
}

#[async_trait]
impl LogSource for Relay {
    async fn logs(
        &self,
        selector: LogSelector,
        options: LogOptions,
    ) -> Result<mpsc::Receiver<LogEvent>, LogsError> {
        let asked = asked(&selector, &options);
        let leader = match self.own.logs(selector, options).await {
            Err(LogsError::NotLeader { leader: Some(leader) }) => leader,
            answered => return answered,
        };
        let events = self.ask(&leader, asked).await.map_err(LogsError::Leader)?;
        let (out, lines) = mpsc::channel(MOST_LINES);
        tokio::spawn(pass_on(events, out, leader));
        Ok(lines)
    }
}

/// Passes on what comes, until either side goes.
async fn pass_on(mut events: Streaming<LogsEvent>, out: mpsc::Sender<LogEvent>, leader: String) {
    loop {
        let next = tokio::select! {
            next = events.next() => next,
            () = out.closed() => return,
        };
        let event = match next {
            Some(Ok(event)) => event,
            Some(Err(status)) => {
                tracing::debug!(leader, %status, "logs broke off");
                return;
            }
            None => return,
        };
        let event = match event.what {
            Some(What::Line(LogsLine { node, chunk: Some(chunk) })) => {
                LogEvent::Line { node: node.as_str().into(), chunk }
            }
            Some(What::Over(over)) => LogEvent::Over(over.missing.into_iter().map(read).collect()),
            // Of a newer version.
            _ => continue,
        };
        if out.send(event).await.is_err() {
            return;
        }
    }
}

/// The leader's side.
#[derive(Debug, Clone)]
pub struct LeaderCalls(pub Arc<Dispatcher>);

#[tonic::async_trait]
impl leader_server::Leader for LeaderCalls {
    type LogsStream =
        std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<LogsEvent, Status>> + Send>>;

    async fn logs(
        &self,
        request: Request<LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        calling_manager(&request)?;
        let asked = request.into_inner();
        let ids = |ids: Vec<String>| ids.iter().map(|id| id.as_str().into()).collect();
        let selector = LogSelector { services: ids(asked.services), tasks: ids(asked.tasks) };
        let options = LogOptions {
            stdout: asked.stdout,
            stderr: asked.stderr,
            follow: asked.follow,
            since: asked.since,
            tail: asked.tail,
            details: asked.details,
        };
        let events = self.0.logs(selector, options).await;
        let events = events.map_err(|error| Status::failed_precondition(error.to_string()))?;
        let events = ReceiverStream::new(events).map(|event| Ok(written(event)));
        Ok(Response::new(Box::pin(events)))
    }
}

fn asked(selector: &LogSelector, options: &LogOptions) -> LogsRequest {
    LogsRequest {
        services: selector.services.iter().map(ToString::to_string).collect(),
        tasks: selector.tasks.iter().map(ToString::to_string).collect(),
        stdout: options.stdout,
        stderr: options.stderr,
        follow: options.follow,
        since: options.since.clone(),
        tail: options.tail.clone(),
        details: options.details,
    }
}

fn written(event: LogEvent) -> LogsEvent {
    let what = match event {
        LogEvent::Line { node, chunk } => {
            What::Line(LogsLine { node: node.to_string(), chunk: Some(chunk) })
        }
        LogEvent::Over(missing) => {
            let missing = missing.into_iter().map(|missing| LogsMissing {
                node: missing.node.to_string(),
                tasks: missing.tasks.iter().map(ToString::to_string).collect(),
                reason: missing.reason,
            });
            What::Over(LogsOver { missing: missing.collect() })
        }
    };
    LogsEvent { what: Some(what) }
}

fn read(missing: LogsMissing) -> Missing {
    Missing {
        node: missing.node.as_str().into(),
        tasks: missing.tasks.iter().map(|id| id.as_str().into()).collect(),
        reason: missing.reason,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_missing_is_told_as_the_leader_told_it() {
        let missing = Missing {
            node: "n1".into(),
            tasks: BTreeSet::from(["t1".into(), "t2".into()]),
            reason: "it is down".to_owned(),
        };
        let Some(What::Over(over)) = written(LogEvent::Over(vec![missing.clone()])).what else {
            panic!("the end is the end");
        };
        assert_eq!(over.missing.into_iter().map(read).collect::<Vec<_>>(), [missing]);
    }
}
