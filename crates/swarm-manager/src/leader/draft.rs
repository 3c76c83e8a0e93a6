//! What a pass is about to write: each object once, as it will be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use swarm_core::scheduler::Refusal;
use swarm_kv::StoreError;
use swarm_model::{Id, Service, Task};

use crate::reign::Reign;
use crate::replica::{Batch, Tables};

/// How many changes are written at once: well within one transaction, so that a conflict costs little
/// and every other manager reads them as they come.
const AT_ONCE: usize = 1_000;

/// Changes of one pass.
#[derive(Debug, Default)]
pub struct Draft {
    /// New and changed tasks.
    pub tasks: BTreeMap<Id, Task>,
    /// Tasks to be deleted, as they are.
    pub gone: BTreeMap<Id, Arc<Task>>,
    /// Changed services.
    pub services: BTreeMap<Id, Service>,
    /// The services that were planned for.
    pub planned: Vec<Id>,
    /// The tasks that the board counts as assigned.
    pub assigned: BTreeSet<Id>,
    /// Why others have no node, as far as they are told so now.
    pub refused: Vec<Arc<Refusal>>,
}

impl Draft {
    /// A task as it will be, to be changed further. `None` where it is not, or is to be deleted.
    pub fn task(&mut self, tables: &Tables, id: &Id) -> Option<&mut Task> {
        if self.gone.contains_key(id) {
            return None;
        }
        if !self.tasks.contains_key(id) {
            let task = tables.tasks.get(id)?;
            self.tasks.insert(id.clone(), Task::clone(task));
        }
        self.tasks.get_mut(id)
    }

    /// A task as it will be.
    pub fn shown<'a>(&'a self, tables: &'a Tables, id: &Id) -> Option<&'a Task> {
        if self.gone.contains_key(id) {
            return None;
        }
        self.tasks.get(id).or_else(|| tables.tasks.get(id).map(|task| &**task))
    }

    /// A service as it will be, to be changed further.
    pub fn service(&mut self, tables: &Tables, id: &Id) -> Option<&mut Service> {
        if !self.services.contains_key(id) {
            let service = tables.services.get(id)?;
            self.services.insert(id.clone(), Service::clone(service));
        }
        self.services.get_mut(id)
    }

    /// Deletes a task.
    pub fn delete(&mut self, tables: &Tables, id: &Id) {
        self.tasks.remove(id);
        if let Some(task) = tables.tasks.get(id) {
            self.gone.insert(id.clone(), Arc::clone(task));
        }
    }

    /// How many objects change.
    pub fn len(&self) -> usize {
        self.tasks.len() + self.gone.len() + self.services.len()
    }

    /// Whether nothing does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As batches, to be written in this order.
    pub fn batches(&self, reign: &Reign) -> Result<Vec<Batch>, StoreError> {
        let mut batches = Vec::new();
        let mut batch = Batch::default();
        reign.fence(&mut batch);
        let mut is_full = |batch: &mut Batch| {
            if batch.len() >= AT_ONCE {
                let mut next = Batch::default();
                reign.fence(&mut next);
                batches.push(std::mem::replace(batch, next));
            }
        };
        // A status that says how an update stands goes first: what it tells of was decided.
        for service in self.services.values() {
            batch.put(service)?;
            is_full(&mut batch);
        }
        for task in self.gone.values() {
            batch.delete(&**task);
            is_full(&mut batch);
        }
        for task in self.tasks.values() {
            batch.put(task)?;
            is_full(&mut batch);
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        Ok(batches)
    }
}
