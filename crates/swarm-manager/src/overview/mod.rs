//! The swarm at a glance, from this manager's own copy of its objects: what a page shows, on whichever
//! manager. Pure; nothing is asked of anybody.
//!
//! Reading order: [`tasks`] (which are shown, and as what), [`nodes`], [`services`], [`drain`] (a plan).
//!
//! Invariants: a first look costs one pass over nodes, services and tasks, and each after it what changed
//! since; a task is put in words only when its node's revision is another than before.

mod drain;
mod nodes;
mod services;
mod tasks;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rand::Rng;
use serde_json::Value;
use swarm_backend::{NodeSight, Result, ServiceSight, Waiting, Wanted};
use swarm_model::{Id, Node, Task, Time};

use crate::control::{lookup, rebalance};
use crate::replica::{Member, Tables, Touched};

/// How many of the tasks that wait for a node are named.
const NAMED: usize = 100;

/// One look, which is brought up to date by what changed since.
#[derive(Debug, Default)]
pub struct Look {
    /// All nodes, by name; their keys are their ids.
    pub nodes: Vec<NodeSight>,
    /// All services, by name.
    pub services: Vec<ServiceSight>,
    /// Tasks that wait for a node, with their reasons.
    pub waiting: Vec<Waiting>,
    /// The tasks that are shown, by their node's id; without one, by an empty id.
    tasks: HashMap<Id, Vec<Arc<Task>>>,
    /// The same by their service's id.
    of_service: HashMap<Id, Vec<Arc<Task>>>,
    names: HashMap<Id, String>,
    leader: Option<String>,
    members: Vec<Member>,
}

impl Look {
    /// Looks. `leader` is the leader's address, as far as it is known, and `members` are the managers as
    /// they answered last.
    pub fn new(tables: &Tables, leader: Option<&str>, members: &[Member]) -> Self {
        let mut look = Self {
            leader: leader.map(str::to_owned),
            members: members.to_vec(),
            ..Self::default()
        };
        let mut all: HashMap<&Id, Vec<&Arc<Task>>> = HashMap::new();
        for task in tables.tasks.values() {
            all.entry(&task.service_id).or_default().push(task);
        }
        for (service, tasks) in all {
            let known = tables.services.get(service).map(|known| &**known);
            look.show(service, tasks::shown(known, tasks), &mut BTreeSet::new());
        }
        for tasks in look.tasks.values_mut() {
            tasks.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        }
        look.see_all_nodes(tables);
        look.nodes.sort_by(nodes::order);
        look.services = tables.services.values().map(|one| services::sight(one, tables)).collect();
        look.services.sort_by(services::order);
        look.see_waiting();
        look
    }

    /// Looks again. `touched` is all that changed since, or more; then this is what [`Look::new`] would be,
    /// for the price of what changed.
    pub fn again(
        &mut self,
        tables: &Tables,
        touched: &Touched,
        leader: Option<&str>,
        members: &[Member],
    ) {
        if touched.whole {
            *self = Self::new(tables, leader, members);
            return;
        }
        let mut nodes: BTreeSet<Id> = &touched.nodes | &touched.nodes_of_tasks;
        let mut services = &touched.services | &touched.services_of_tasks;
        // What runs on a node that is down does not count as running.
        for node in &touched.nodes {
            services.extend(tables.tasks_of_node(node).map(|task| task.service_id.clone()));
        }
        self.hide(&services, &mut nodes);
        for service in &services {
            let known = tables.services.get(service).map(|known| &**known);
            let shown = tasks::shown(known, tables.tasks_of_service(service));
            self.show(service, shown, &mut nodes);
        }
        for node in &nodes {
            if let Some(tasks) = self.tasks.get_mut(node) {
                tasks.sort_unstable_by(|a, b| a.id.cmp(&b.id));
            }
        }
        if self.leader.as_deref() == leader && self.members == members {
            self.nodes.retain(|one| !nodes.contains(one.key.as_str()));
            for id in &nodes {
                self.names.remove(id);
                let Some(node) = tables.nodes.get(id) else { continue };
                self.names.insert(id.clone(), node.name().to_owned());
                self.nodes.push(self.node(tables, node));
            }
        } else {
            // Who leads, and who answers, is said of any of them.
            self.leader = leader.map(str::to_owned);
            self.members = members.to_vec();
            self.see_all_nodes(tables);
        }
        self.nodes.sort_by(nodes::order);
        self.services.retain(|one| !services.contains(one.id.as_str()));
        let there = services.iter().filter_map(|id| tables.services.get(id));
        self.services.extend(there.map(|one| services::sight(one, tables)));
        self.services.sort_by(services::order);
        self.see_waiting();
    }

    /// Shows no tasks of these services any more; each node that this concerns is noted. A node's list is gone
    /// through once: thousands may wait without one.
    fn hide(&mut self, services: &BTreeSet<Id>, nodes: &mut BTreeSet<Id>) {
        let hidden = services.iter().filter_map(|service| self.of_service.remove(service));
        let mut there: BTreeSet<Id> = hidden.flatten().map(|task| task.node_id.clone()).collect();
        for node in &there {
            if let Some(tasks) = self.tasks.get_mut(node) {
                tasks.retain(|one| !services.contains(&one.service_id));
            }
        }
        nodes.append(&mut there);
    }

    /// Shows these tasks of a service of which none are shown; each node that this concerns is noted.
    fn show(&mut self, service: &Id, shown: Vec<Arc<Task>>, nodes: &mut BTreeSet<Id>) {
        for task in &shown {
            nodes.insert(task.node_id.clone());
            self.tasks.entry(task.node_id.clone()).or_default().push(Arc::clone(task));
        }
        if !shown.is_empty() {
            self.of_service.insert(service.clone(), shown);
        }
    }

    /// Puts a node in words, whose tasks are those that are shown already.
    fn node(&self, tables: &Tables, node: &Node) -> NodeSight {
        nodes::sight(tables, node, self.on(&node.id), self.leader.as_deref(), &self.members)
    }

    fn see_all_nodes(&mut self, tables: &Tables) {
        let nodes = tables.nodes.values();
        self.names = nodes.clone().map(|one| (one.id.clone(), one.name().to_owned())).collect();
        self.nodes = nodes.map(|one| self.node(tables, one)).collect();
    }

    fn see_waiting(&mut self) {
        let waiting = self.on("").iter().take(NAMED);
        self.waiting = waiting
            .map(|task| Waiting { name: self.name(task), reason: tasks::reason(task).to_owned() })
            .collect();
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

/// What would be moved now, in the form of `POST /pool/rebalance`. Of nodes that are as good, chance takes one.
pub fn plan<R: Rng + ?Sized>(
    tables: &Tables,
    wanted: &Wanted,
    now: Time,
    rng: &mut R,
) -> Result<Value> {
    match wanted {
        Wanted::Rebalance { limit } => Ok(rebalance::planned(tables, *limit, now, rng)),
        Wanted::Drain { node } => {
            let node = lookup::find::<Node>(tables, node)?;
            Ok(drain::plan(tables, node, now, rng))
        }
    }
}
