//! What containers wrote: asked of the nodes that have the tasks, and merged as it comes.
//!
//! Reading order: this page (what is asked and answered), [`broker`] (who is asked for what, and where
//! the lines go), [`follow`] (one subscription), [`relay`] (at a manager that does not lead).
//!
//! Invariants: a node is heard only for the tasks it was asked for; a node that cannot answer costs its
//! own lines and nobody else's, and the answer's end says so; nothing is read faster than the client
//! takes it.

pub mod broker;
pub mod follow;
pub mod relay;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use swarm_model::{Id, Task, TaskState};
use swarm_rpc::v1::{LogChunk, LogsWanted};
use tokio::sync::mpsc;

use super::Dispatcher;
use crate::replica::Tables;

pub use broker::Broker;

/// How many lines may wait for the client.
const MOST_LINES: usize = 256;

/// Whose logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogSelector {
    /// Of all tasks of these services.
    pub services: BTreeSet<Id>,
    /// Of these tasks.
    pub tasks: BTreeSet<Id>,
}

/// Which part of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // They are Docker's query.
pub struct LogOptions {
    /// What was written to standard output.
    pub stdout: bool,
    /// What was written to standard error.
    pub stderr: bool,
    /// Also what is yet to be written, by tasks that are yet to come as well.
    pub follow: bool,
    /// As the engine takes it: seconds with nanoseconds, or empty.
    pub since: String,
    /// As the engine takes it: a number or "all".
    pub tail: String,
    /// With the attributes that the log driver keeps.
    pub details: bool,
}

/// What a subscription hears.
#[derive(Debug, Clone, PartialEq)]
pub enum LogEvent {
    /// A line.
    Line {
        /// From where.
        node: Id,
        /// The line and its task.
        chunk: LogChunk,
    },
    /// The last: whose lines are not all there.
    Over(Vec<Missing>),
}

/// Whose lines are not all there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Of this node.
    pub node: Id,
    /// Of these tasks.
    pub tasks: BTreeSet<Id>,
    /// In words.
    pub reason: String,
}

/// Why there are no logs at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogsError {
    /// Another manager has the nodes.
    #[error("logs come from the manager that leads: {}", .leader.as_deref().unwrap_or("nobody does at present"))]
    NotLeader {
        /// Where it is reached.
        leader: Option<String>,
    },
    /// The leader did not answer; in words, with its address.
    #[error("logs come from the manager that leads: {0}")]
    Leader(String),
}

/// Where logs come from: this manager when it leads, or a client of the one that does.
#[async_trait]
pub trait LogSource: Send + Sync + 'static {
    /// Subscribes. The stream ends with [`LogEvent::Over`], or without it when this manager no longer
    /// leads; dropping it ends the subscription.
    async fn logs(
        &self,
        selector: LogSelector,
        options: LogOptions,
    ) -> Result<mpsc::Receiver<LogEvent>, LogsError>;
}

#[async_trait]
impl LogSource for Arc<Dispatcher> {
    async fn logs(
        &self,
        selector: LogSelector,
        options: LogOptions,
    ) -> Result<mpsc::Receiver<LogEvent>, LogsError> {
        let Ok(office) = self.office().await else {
            let leader = self.replica.store().leadership().borrow().leader.clone();
            return Err(LogsError::NotLeader { leader });
        };
        let (out, lines) = mpsc::channel(MOST_LINES);
        tokio::spawn(follow::run(Arc::clone(self), office, selector, options, out));
        Ok(lines)
    }
}

impl LogSelector {
    /// The tasks that may have written something.
    fn tasks<'a>(&'a self, tables: &'a Tables) -> impl Iterator<Item = &'a Task> {
        let of_services = self.services.iter().flat_map(|id| tables.tasks_of_service(id));
        let named = self.tasks.iter().filter_map(|id| tables.tasks.get(id));
        of_services.chain(named).map(|task| &**task).filter(|task| has_container(task))
    }

    /// Whether something it selects is there still.
    fn is_there(&self, tables: &Tables) -> bool {
        self.services.iter().any(|id| tables.services.contains_key(id))
            || self
                .tasks
                .iter()
                .any(|id| tables.tasks.get(id).is_some_and(|task| !task.status.state.is_end()))
    }
}

impl LogOptions {
    fn wanted(&self, subscription: String, tasks: &BTreeSet<Id>) -> LogsWanted {
        LogsWanted {
            subscription,
            task_ids: tasks.iter().map(Id::to_string).collect(),
            stdout: self.stdout,
            stderr: self.stderr,
            follow: self.follow,
            since: self.since.clone(),
            tail: self.tail.clone(),
            details: self.details,
        }
    }
}

/// Before it is started there is nothing to read.
fn has_container(task: &Task) -> bool {
    let state = task.status.state;
    !task.node_id.is_empty()
        && state >= TaskState::Starting
        && !matches!(state, TaskState::Rejected | TaskState::Orphaned)
}
