//! Tasks of nodes that are down for a day: nobody waits any longer to hear how they ended.
//!
//! The day is counted from when this leader first saw the node down, as Docker's managers do. Should
//! the node come back after all, it is told that these tasks are over and removes what is left of
//! them.

use std::collections::HashMap;

use swarm_model::node::NodeState;
use swarm_model::{Id, Node, Time};

use super::draft::Draft;
use super::orchestrate::orphan;
use crate::replica::Tables;

/// How long a node is waited for, in nanoseconds (swarmkit's 24 hours).
pub const PATIENCE: i64 = 24 * 3600 * 1_000_000_000;

/// Nodes that are down.
#[derive(Debug, Default)]
pub struct Orphans {
    since: HashMap<Id, Time>,
    /// Those whose tasks were given up.
    done: HashMap<Id, Time>,
}

impl Orphans {
    /// Takes note of a node.
    pub fn see(&mut self, node: &Node, now: Time) {
        if node.status.state != NodeState::Down {
            self.forget(&node.id);
        } else if !self.done.contains_key(&node.id) {
            self.since.entry(node.id.clone()).or_insert(now);
        }
    }

    /// A node is no more: the orchestrators look after its tasks.
    pub fn forget(&mut self, id: &Id) {
        self.since.remove(id);
        self.done.remove(id);
    }

    /// When the next node's patience is over.
    pub fn moment(&self) -> Option<Time> {
        self.since.values().min().map(|since| since.plus(PATIENCE))
    }

    /// Gives up on what was waited for long enough.
    pub fn give_up(&mut self, tables: &Tables, now: Time, draft: &mut Draft) {
        let is_due = |since: &Time| now.since(*since) >= PATIENCE;
        if !self.since.values().any(is_due) {
            return;
        }
        let due: Vec<_> = self.since.extract_if(|_, since| is_due(since)).collect();
        for (id, since) in due {
            let tasks = tables.tasks_of_node(&id).filter(|task| task.holds_node());
            for held in tasks.map(|task| task.id.clone()).collect::<Vec<_>>() {
                if let Some(task) = draft.task(tables, &held)
                    && orphan(task, "its node is down for a day", now)
                {
                    tracing::info!(task = %held, node = %id, "orphaned: its node is down for a day");
                }
            }
            self.done.insert(id, since);
        }
    }

    /// A draft was not written: its nodes are due again.
    pub fn again(&mut self, draft: &Draft) {
        let nodes = draft.tasks.values().map(|task| &task.node_id);
        for node in nodes.filter(|node| !node.is_empty()) {
            if let Some(since) = self.done.remove(node) {
                self.since.insert(node.clone(), since);
            }
        }
    }
}
