//! The swarm at a glance, from this manager's own copy of its objects: what a page shows, on whichever
//! manager. Pure; nothing is asked of anybody.
//!
//! Reading order: [`tasks`] (which are shown, and as what), [`nodes`], [`services`], [`drain`] (a plan).
//!
//! Invariant: a look costs one pass over nodes, services and tasks; a task is put in words only when
//! its node's revision is another than before.

mod drain;
mod nodes;
mod services;
mod tasks;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use swarm_backend::{NodeSight, Result, ServiceSight, Waiting, Wanted};
use swarm_model::{Id, Node, Task};

use crate::control::{lookup, now, rebalance};
use crate::replica::{Member, Tables};

/// How many of the tasks that wait for a node are named.
const NAMED: usize = 100;

/// One look.
#[derive(Debug, Default)]
pub struct Look {
    /// All nodes, by name; their keys are their ids.
    pub nodes: Vec<NodeSight>,
    /// The tasks that are shown, by their node's id; without one, by an empty id.
    tasks: HashMap<Id, Vec<Arc<Task>>>,
    /// All services, by name.
    pub services: Vec<ServiceSight>,
    /// Tasks that wait for a node, with their reasons.
    pub waiting: Vec<Waiting>,
    names: HashMap<Id, String>,
}

impl Look {
    /// Looks. `leader` is the leader's address, as far as it is known, and `members` are the managers as
    /// they answered last.
    pub fn new(tables: &Tables, leader: Option<&str>, members: &[Member]) -> Self {
        let tasks = tasks::shown(tables);
        let nodes = nodes::sights(tables, &tasks, leader, members);
        let names = tables.nodes.values().map(|node| (node.id.clone(), node.name().to_owned()));
        let mut look = Self {
            nodes,
            services: services::sights(tables),
            waiting: Vec::new(),
            names: names.collect(),
            tasks,
        };
        let waiting = look.on("").iter().take(NAMED);
        look.waiting = waiting
            .map(|task| Waiting { name: look.name(task), reason: tasks::reason(task).to_owned() })
            .collect();
        look
    }

    /// The tasks that are shown on a node; of an empty id, those that have none.
    pub fn on(&self, node: &str) -> &[Arc<Task>] {
        self.tasks.get(node).map_or(&[], Vec::as_slice)
    }

    /// What a person calls a task: its service, and its slot or its node.
    pub fn name(&self, task: &Task) -> String {
        // A job's first has the number 0; one that is nowhere yet has no other name.
        if task.slot > 0 || task.node_id.is_empty() {
            return rebalance::task_name(task);
        }
        let node = self.names.get(&task.node_id).map_or(task.node_id.as_str(), String::as_str);
        format!("{}.{node}", task.service_annotations.name)
    }
}

pub(crate) use nodes::reserved;
pub use nodes::revision_of;
pub use tasks::sight as task_sight;

/// What would be moved, in the form of `POST /pool/rebalance`.
pub fn plan(tables: &Tables, wanted: &Wanted) -> Result<Value> {
    match wanted {
        Wanted::Rebalance { limit } => Ok(rebalance::planned(tables, *limit)),
        Wanted::Drain { node } => {
            let node = lookup::find::<Node>(tables, node)?;
            Ok(drain::plan(tables, node, now(tables)))
        }
    }
}
