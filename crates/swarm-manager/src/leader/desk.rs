//! What a leader has in memory, and its pass: tables -> draft. Pure: `now` and chance are arguments.
//!
//! Everything here can be made anew from the tables ([`Desk::new`]). Changes only mark what has to be
//! looked at; what is done is decided from the tables.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::Rng;
use swarm_core::scheduler::Board;
use swarm_model::{Id, Task, TaskState, Time};

use super::agenda::Agenda;
use super::draft::Draft;
use super::orphans::Orphans;
use super::{orchestrate, schedule};
use crate::replica::{Tables, Touched};

/// How much one pass looks at, in tasks: it holds the tables meanwhile, some 20 ms.
const MOST: usize = 4_000;

/// A leader's memory.
#[derive(Debug, Default)]
pub struct Desk {
    /// What the scheduler knows.
    pub(super) board: Board,
    /// Which services are planned for when.
    pub(super) agenda: Agenda,
    /// Tasks without a node that nobody looked for yet.
    pub(super) fresh: BTreeSet<Id>,
    /// Tasks for which no node was found.
    pub(super) waiting: BTreeSet<Id>,
    /// Something has changed for those that wait.
    pub(super) room: bool,
    /// When words of refusal that were held back are due.
    pub(super) retell: Option<Time>,
    /// Services that care for each node.
    globals: BTreeSet<Id>,
    orphans: Orphans,
    /// How much a pass looks at now; less after a conflict.
    limit: usize,
}

impl Desk {
    /// One that knows these tables, and finds everything to be looked at.
    pub fn new(tables: &Tables, now: Time) -> Self {
        let nodes = tables.nodes.values().cloned();
        let mut desk = Self {
            board: Board::new(nodes, tables.tasks.values().map(|task| &**task)),
            limit: MOST,
            ..Self::default()
        };
        for node in tables.nodes.values() {
            desk.orphans.see(node, now);
        }
        for task in tables.tasks.values() {
            desk.file(task);
        }
        desk.mark_all(tables);
        desk
    }

    /// Marks everything: the pass by period.
    pub fn mark_all(&mut self, tables: &Tables) {
        self.room = true;
        for (id, service) in &tables.services {
            self.agenda.mark(id);
            if service.spec.mode.decided().is_global() {
                self.globals.insert(id.clone());
            }
        }
        let mut last = None;
        for task in tables.tasks.values() {
            // Neighbours mostly are of one service.
            if last != Some(&task.service_id) && !tables.services.contains_key(&task.service_id) {
                self.agenda.mark(&task.service_id);
            }
            last = Some(&task.service_id);
        }
    }

    /// Takes note of what changed.
    pub fn note(&mut self, tables: &Tables, touched: &Touched, now: Time) {
        if touched.whole {
            let limit = self.limit;
            *self = Self { limit, ..Self::new(tables, now) };
            return;
        }
        for id in &touched.tasks {
            if let Some(task) = tables.tasks.get(id) {
                self.board.set_task(task);
                self.file(task);
                self.room |= !task.is_wanted() || task.status.state.is_end();
            } else {
                self.room |= self.board.remove_task(id);
                self.fresh.remove(id);
                self.waiting.remove(id);
            }
        }
        for id in touched.services.iter().chain(&touched.services_of_tasks) {
            self.agenda.mark(id);
            match tables.services.get(id) {
                Some(service) if service.spec.mode.decided().is_global() => {
                    self.globals.insert(id.clone());
                }
                _ => {
                    self.globals.remove(id);
                }
            }
        }
        for id in &touched.nodes {
            if let Some(node) = tables.nodes.get(id) {
                self.board.set_node(Arc::clone(node));
                self.orphans.see(node, now);
            } else {
                self.board.remove_node(id);
                self.orphans.forget(id);
            }
            self.room = true;
            for task in tables.tasks_of_node(id) {
                self.agenda.mark(&task.service_id);
            }
        }
        if !touched.nodes.is_empty() {
            for id in &self.globals {
                self.agenda.mark(id);
            }
        }
        if touched.cluster {
            self.mark_all(tables);
        }
    }

    /// Puts a task where it belongs.
    fn file(&mut self, task: &Task) {
        let looks = task.status.state <= TaskState::Pending && task.is_wanted();
        if !looks {
            self.fresh.remove(&task.id);
            self.waiting.remove(&task.id);
        } else if !self.waiting.contains(&task.id) {
            self.fresh.insert(task.id.clone());
        }
    }

    /// Plans as much as fits into one pass, and for no service twice: the tables do not have the first plan's
    /// tasks yet, and each further one would make them all again. Empty when there is nothing to do now.
    pub fn pass<R: Rng + ?Sized>(&mut self, tables: &Tables, now: Time, rng: &mut R) -> Draft {
        let mut draft = Draft::default();
        let (mut looked, mut wakes) = (0, Vec::new());
        while looked < self.limit
            && let Some(service) = self.agenda.next(now)
        {
            let view = orchestrate::Subject { tables, service: &service, now };
            let (tasks, wake) = orchestrate::service(&view, rng, &mut draft);
            self.agenda.wake(&service, None);
            wakes.push((service.clone(), wake));
            // A plan costs something even where there is nothing to do.
            looked += 1 + tasks / 8 + 2 * draft.len().saturating_sub(looked);
            draft.planned.push(service);
        }
        for (service, wake) in wakes {
            self.agenda.wake(&service, wake);
        }
        self.orphans.give_up(tables, now, &mut draft);
        schedule::tasks(self, tables, now, rng, &mut draft, self.limit);
        draft
    }

    /// A draft was written.
    pub fn written(&mut self) {
        self.limit = (self.limit * 2).min(MOST);
    }

    /// A draft was not written, or not all of it: what it looked at is looked at again, in smaller
    /// parts, so that one object that cannot be written does not keep the others from it.
    pub fn failed(&mut self, tables: &Tables, draft: &Draft) {
        self.limit = (self.limit / 4).max(1);
        for service in &draft.planned {
            self.agenda.mark(service);
        }
        self.orphans.again(draft);
        for id in draft.tasks.keys().chain(&draft.assigned) {
            match tables.tasks.get(id) {
                Some(task) => {
                    self.board.set_task(task);
                    self.waiting.remove(id);
                    self.file(task);
                }
                None => {
                    self.board.remove_task(id);
                }
            }
        }
    }

    /// Puts off a service whose plan alone cannot be written. Whether there is one.
    pub fn put_off(&mut self, draft: &Draft, until: Time) -> bool {
        let [service] = draft.planned.as_slice() else { return false };
        if self.limit > 1 {
            return false;
        }
        self.agenda.unmark(service);
        self.agenda.wake(service, Some(until));
        true
    }

    /// Whether a pass may find something to do at once.
    pub fn is_busy(&self) -> bool {
        self.agenda.is_marked() || !self.fresh.is_empty() || (self.room && !self.waiting.is_empty())
    }

    /// When a pass is due though nothing happens.
    pub fn moment(&self) -> Option<Time> {
        [self.agenda.moment(), self.retell, self.orphans.moment()].into_iter().flatten().min()
    }
}
