//! All tasks of the node: what the manager assigned is brought to those who run it.
//!
//! What is wanted is kept as a whole; runners follow it. Before a runner begins after a whole
//! assignment, the engine's containers are listed: what runs is found, and what no assignment names is
//! stopped and removed. Invariants: nothing is removed before a whole assignment was heard, nor anything
//! without this swarm's label and its task's name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use swarm_model::task::TaskStatus;
use swarm_model::{Data, Id, Task, TaskState};
use swarm_rpc::v1;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::Shared;
use super::directory::{Entry, Wake};
use super::engine::Found;
use super::runner::{Orders, Runner};
use crate::convert::{FileKind, has_terminal};
use swarm_backoff::Backoff;

/// What the worker is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// What the node is to run.
    Assign(v1::Assignments),
    /// Stop and remove everything of this swarm, and say when it is done.
    Leave(oneshot::Sender<()>),
}

/// The engine's containers of this swarm, by task.
type Listing = HashMap<String, Found>;

pub(crate) struct Worker {
    shared: Arc<Shared>,
    wanted: HashMap<Id, Arc<Task>>,
    orders: HashMap<Id, watch::Sender<Orders>>,
    runners: JoinSet<Id>,
    listing: Option<JoinHandle<Listing>>,
    /// The containers there were at the last listing; `None` until there was one.
    found: Option<Listing>,
    leaving: Option<oneshot::Sender<()>>,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            wanted: HashMap::new(),
            orders: HashMap::new(),
            runners: JoinSet::new(),
            listing: None,
            found: None,
            leaving: None,
        }
    }

    /// Works until the commands end (containers are left as they are) or everything was removed.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    None => return,
                    Some(Command::Assign(assignments)) => self.assign(&assignments),
                    Some(Command::Leave(done)) => {
                        self.wanted.clear();
                        self.leaving = Some(done);
                        self.list();
                    }
                },
                listing = finished(&mut self.listing) => self.adopt(listing),
                Some(ended) = self.runners.join_next() => self.ended(ended.ok()),
            }
            self.reconcile();
            if self.leaving.is_some() && self.runners.is_empty() && self.listing.is_none() {
                if let Some(done) = self.leaving.take() {
                    // Nobody may be waiting any more.
                    let _ = done.send(());
                }
                return;
            }
        }
    }

    fn assign(&mut self, message: &v1::Assignments) {
        if self.leaving.is_some() {
            return;
        }
        self.take_data(message);
        if message.whole {
            self.wanted.clear();
        }
        for task in &message.gone_tasks {
            self.wanted.remove(task.as_str());
            if !self.orders.contains_key(task.as_str()) {
                self.shared.reports.forget(&Id::from(task.as_str()));
            }
        }
        for json in &message.tasks {
            match serde_json::from_slice::<Task>(json) {
                Ok(task) => {
                    self.wanted.insert(task.id.clone(), Arc::new(task));
                }
                Err(error) => self.unreadable(json, &error),
            }
        }
        if message.whole {
            self.list();
        }
    }

    fn take_data(&self, message: &v1::Assignments) {
        let mut given = Vec::new();
        for (kind, all) in
            [(FileKind::Secret, &message.secrets), (FileKind::Config, &message.configs)]
        {
            for json in all {
                if let Ok(data) = serde_json::from_slice::<Data>(json) {
                    given.push((kind, data));
                } else {
                    // The words of the error could hold a part of it.
                    tracing::error!("a {} cannot be read", kind.as_str());
                }
            }
        }
        let gone = |kind, ids: &[String]| -> Vec<(FileKind, Id)> {
            ids.iter().map(|id| (kind, Id::from(id.as_str()))).collect()
        };
        let mut gone_all = gone(FileKind::Secret, &message.gone_secrets);
        gone_all.extend(gone(FileKind::Config, &message.gone_configs));
        self.shared.data.take(message.whole, given, &gone_all);
    }

    /// A newer manager's task: said to be rejected, where its id can be read.
    fn unreadable(&self, json: &[u8], error: &serde_json::Error) {
        tracing::error!(%error, "a task cannot be read");
        let value: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
        if let Some(id) = value.get("ID").and_then(serde_json::Value::as_str) {
            let status = TaskStatus {
                state: TaskState::Rejected,
                err: format!("this node's version cannot read the task: {error}"),
                ..TaskStatus::default()
            };
            self.shared.reports.say(&Id::from(id), status);
        }
    }

    /// Asks the engine for its containers, for as long as it takes.
    fn list(&mut self) {
        if let Some(before) = self.listing.take() {
            before.abort();
        }
        let shared = Arc::clone(&self.shared);
        self.listing = Some(tokio::spawn(async move {
            let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
            loop {
                match shared.engine.list(&shared.cluster).await {
                    Ok(listing) => return listing,
                    Err(error) => tracing::warn!(%error, "the engine's tasks cannot be listed"),
                }
                backoff.wait().await;
            }
        }));
    }

    fn adopt(&mut self, listing: Listing) {
        for (task, container) in &listing {
            let id = Id::from(task.as_str());
            let is_known = self.wanted.contains_key(&id) || self.orders.contains_key(&id);
            if !is_known && container.is_named {
                tracing::info!(task, container.id, "a container of no task is removed");
                let task = Arc::new(Task { id: id.clone(), ..Task::default() });
                self.begin(Orders { task, forgotten: true }, Some(&container.id));
            }
        }
        self.shared
            .files
            .keep_only(|id| self.wanted.contains_key(id) || self.orders.contains_key(id));
        self.found = Some(listing);
    }

    fn begin(&mut self, orders: Orders, container: Option<&str>) {
        let (id, terminal) = (orders.task.id.clone(), has_terminal(&orders.task));
        let (give, take) = watch::channel(orders);
        let (tell, container) = watch::channel(container.map(Arc::from));
        let wake = Arc::new(Wake::default());
        let entry = Entry { wake: Arc::clone(&wake), container, terminal };
        self.shared.directory.insert(id.clone(), entry);
        self.orders.insert(id, give);
        self.runners.spawn(Runner::new(Arc::clone(&self.shared), take, wake, tell).run());
    }

    fn ended(&mut self, id: Option<Id>) {
        let Some(id) = id else {
            // A runner that broke down takes nothing with it: its orders are closed.
            self.orders.retain(|_, orders| !orders.is_closed());
            return;
        };
        self.orders.remove(&id);
        self.shared.directory.remove(&id);
        if let Some(found) = &mut self.found {
            found.remove(id.as_str());
        }
    }

    /// Brings what is wanted to the runners.
    fn reconcile(&mut self) {
        for (id, orders) in &self.orders {
            let wanted = self.wanted.get(id);
            orders.send_if_modified(|present| {
                let task = wanted.unwrap_or(&present.task);
                let new = Orders { task: Arc::clone(task), forgotten: wanted.is_none() };
                let news = *present != new;
                *present = new;
                news
            });
        }
        let (Some(found), None) = (&self.found, &self.listing) else { return };
        let new: Vec<(Arc<Task>, Option<String>)> = self
            .wanted
            .values()
            .filter(|task| !self.orders.contains_key(&task.id))
            .map(|task| {
                (Arc::clone(task), found.get(task.id.as_str()).map(|found| found.id.clone()))
            })
            .collect();
        for (task, container) in new {
            self.begin(Orders { task, forgotten: false }, container.as_deref());
        }
    }
}

/// The listing's end; never, while there is none.
async fn finished(listing: &mut Option<JoinHandle<Listing>>) -> Listing {
    let Some(task) = listing else { return std::future::pending().await };
    let result = task.await;
    *listing = None;
    match result {
        Ok(found) => found,
        // Nothing was found out: nothing is begun, until the next whole assignment.
        Err(_) => std::future::pending().await,
    }
}
