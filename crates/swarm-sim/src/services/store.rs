//! The store: tables, and marks of what changed. Every write of a task passes the checkers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use swarm_core::task::Owner;
use swarm_model::{Id, Node, Service, Task, Time};

use super::check::{Breach, rises};

/// All objects.
#[derive(Debug, Default)]
pub struct Store {
    /// By id.
    pub services: BTreeMap<Id, Service>,
    /// By id.
    pub tasks: BTreeMap<Id, Task>,
    /// By id.
    pub nodes: BTreeMap<Id, Arc<Node>>,
    /// Services to plan for; removed ones too.
    pub dirty: BTreeSet<Id>,
    /// Tasks that the scheduler's board has not been told of.
    pub changed: BTreeSet<Id>,
    /// Nodes that it has not been told of.
    pub changed_nodes: BTreeSet<Id>,
    /// How often anything was written.
    pub writes: u64,
    /// No leader's clock is taken for earlier.
    pub newest: Time,
}

impl Store {
    /// Writes a task as `owner` changed it.
    pub fn write(&mut self, owner: Owner, task: Task) -> Result<(), Breach> {
        rises::look(owner, self.tasks.get(&task.id), &task)?;
        self.mark(&task);
        self.tasks.insert(task.id.clone(), task);
        Ok(())
    }

    /// Deletes a task.
    pub fn delete(&mut self, id: &Id) {
        if let Some(task) = self.tasks.remove(id) {
            self.mark(&task);
        }
    }

    fn mark(&mut self, task: &Task) {
        self.writes += 1;
        self.newest = self.newest.max(task.updated_at);
        self.dirty.insert(task.service_id.clone());
        self.changed.insert(task.id.clone());
    }

    /// Writes a node; every service may care.
    pub fn write_node(&mut self, node: Node) {
        self.writes += 1;
        self.changed_nodes.insert(node.id.clone());
        self.nodes.insert(node.id.clone(), Arc::new(node));
        self.all_dirty();
    }

    /// Writes a service.
    pub fn write_service(&mut self, service: Service) {
        self.writes += 1;
        self.dirty.insert(service.id.clone());
        self.services.insert(service.id.clone(), service);
    }

    /// A full pass is due.
    pub fn all_dirty(&mut self) {
        self.dirty.extend(self.services.keys().cloned());
        self.dirty.extend(self.tasks.values().map(|task| task.service_id.clone()));
    }
}
