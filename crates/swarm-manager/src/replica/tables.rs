//! The cluster's objects, read once and kept as they are used: by id, and tasks by service and node.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use swarm_kv::{Change, Item};
use swarm_model::task::TaskState;
use swarm_model::{Cluster, Id, Network, Node, Service, Task, Time};
use swarm_store::Followed;

use super::object::{Config, Guard, Object, PREFIX, Secret, decode};

/// Everything that this manager has applied.
#[derive(Debug, Default)]
pub struct Tables {
    /// The store's revision that they show.
    pub revision: u64,
    /// The swarm; `None` before it begins.
    pub cluster: Option<Arc<Cluster>>,
    /// By id.
    pub services: BTreeMap<Id, Arc<Service>>,
    /// By id.
    pub tasks: BTreeMap<Id, Arc<Task>>,
    /// By id.
    pub nodes: BTreeMap<Id, Arc<Node>>,
    /// By id.
    pub secrets: BTreeMap<Id, Arc<Secret>>,
    /// By id.
    pub configs: BTreeMap<Id, Arc<Config>>,
    /// By id.
    pub networks: BTreeMap<Id, Arc<Network>>,
    /// By the name of what is guarded; nobody is told of their changes.
    pub guards: BTreeMap<Id, Arc<Guard>>,
    /// The newest time that anybody wrote: no leader's clock counts as earlier.
    pub newest: Time,
    /// How many tasks were seen to fail, or to be rejected by their node, since this manager began.
    pub failures: u64,
    of_service: HashMap<Id, BTreeSet<Id>>,
    of_node: HashMap<Id, BTreeSet<Id>>,
}

/// What changed, by id; objects that are gone too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Everything was read anew: anything may have changed.
    pub whole: bool,
    /// The swarm itself.
    pub cluster: bool,
    /// Services.
    pub services: BTreeSet<Id>,
    /// Tasks.
    pub tasks: BTreeSet<Id>,
    /// Services of which tasks changed.
    pub services_of_tasks: BTreeSet<Id>,
    /// Nodes of which tasks changed: the old one and the new.
    pub nodes_of_tasks: BTreeSet<Id>,
    /// Nodes.
    pub nodes: BTreeSet<Id>,
    /// Secrets.
    pub secrets: BTreeSet<Id>,
    /// Configs.
    pub configs: BTreeSet<Id>,
    /// Networks.
    pub networks: BTreeSet<Id>,
}

/// Whether it ended by itself as it should not, or could not begin.
fn failed(task: &Task) -> bool {
    matches!(task.status.state, TaskState::Failed | TaskState::Rejected)
}

impl Touched {
    /// Whether nothing did.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what changed later.
    pub fn merge(&mut self, later: &Self) {
        self.whole |= later.whole;
        self.cluster |= later.cluster;
        for (all, more) in [
            (&mut self.services, &later.services),
            (&mut self.tasks, &later.tasks),
            (&mut self.services_of_tasks, &later.services_of_tasks),
            (&mut self.nodes_of_tasks, &later.nodes_of_tasks),
            (&mut self.nodes, &later.nodes),
            (&mut self.secrets, &later.secrets),
            (&mut self.configs, &later.configs),
            (&mut self.networks, &later.networks),
        ] {
            all.extend(more.iter().cloned());
        }
    }
}

impl Tables {
    /// The tasks of a service.
    pub fn tasks_of_service(&self, service: &str) -> impl Iterator<Item = &Arc<Task>> + use<'_> {
        self.listed(self.of_service.get(service))
    }

    /// The tasks of a node, also those that only were assigned to it.
    pub fn tasks_of_node(&self, node: &str) -> impl Iterator<Item = &Arc<Task>> + use<'_> {
        self.listed(self.of_node.get(node))
    }

    fn listed<'a>(
        &'a self,
        ids: Option<&'a BTreeSet<Id>>,
    ) -> impl Iterator<Item = &'a Arc<Task>> + use<'a> {
        ids.into_iter().flatten().filter_map(|id| self.tasks.get(id))
    }

    /// Empty ones that what the store has as a whole is read into, beside these.
    pub(super) fn beside(&self) -> Self {
        Self { newest: self.newest, failures: self.failures, ..Self::default() }
    }

    /// Takes over what the store told. What cannot be read is left as it was, and named in the log:
    /// a newer version may have written it.
    pub fn apply(&mut self, followed: Followed) -> Touched {
        let mut touched = Touched::default();
        for change in followed.changes {
            match change {
                Change::Whole(items) => {
                    *self = self.beside();
                    touched.whole = true;
                    for item in &items {
                        self.put(item, &mut touched);
                    }
                }
                Change::Put(item) => self.put(&item, &mut touched),
                Change::Deleted(key) => self.delete(&key, &mut touched),
            }
        }
        self.revision = followed.revision;
        touched
    }

    fn put(&mut self, item: &Item, touched: &mut Touched) {
        let Some((table, _)) = split(&item.key) else { return };
        let read = match table {
            Cluster::TABLE => self.decoded(item).map(|cluster| {
                self.cluster = Some(cluster);
                touched.cluster = true;
            }),
            Service::TABLE => self.decoded(item).map(|service: Arc<Service>| {
                touched.services.insert(service.id.clone());
                self.services.insert(service.id.clone(), service);
            }),
            Task::TABLE => self.decoded(item).map(|task| self.put_task(task, touched)),
            Node::TABLE => self.decoded(item).map(|node: Arc<Node>| {
                touched.nodes.insert(node.id.clone());
                self.nodes.insert(node.id.clone(), node);
            }),
            Secret::TABLE => self.decoded(item).map(|secret: Arc<Secret>| {
                touched.secrets.insert(secret.id.clone());
                self.secrets.insert(secret.id.clone(), secret);
            }),
            Config::TABLE => self.decoded(item).map(|config: Arc<Config>| {
                touched.configs.insert(config.id.clone());
                self.configs.insert(config.id.clone(), config);
            }),
            Network::TABLE => self.decoded(item).map(|network: Arc<Network>| {
                touched.networks.insert(network.id.clone());
                self.networks.insert(network.id.clone(), network);
            }),
            Guard::TABLE => self.decoded(item).map(|guard: Arc<Guard>| {
                self.guards.insert(guard.id.clone(), guard);
            }),
            _ => Ok(()),
        };
        if let Err(error) = read {
            tracing::error!(error, "an object of the swarm cannot be read, and is left out");
        }
    }

    fn decoded<O: Object>(&mut self, item: &Item) -> Result<Arc<O>, String> {
        let object: O = decode(item)?;
        self.newest = self.newest.max(object.updated_at());
        Ok(Arc::new(object))
    }

    fn put_task(&mut self, mut task: Arc<Task>, touched: &mut Touched) {
        let old = self.tasks.get(&task.id).cloned();
        self.share_spec(&mut task, old.as_deref());
        // One that is read for the first time failed before.
        self.failures += u64::from(old.as_ref().is_some_and(|old| !failed(old)) && failed(&task));
        if let Some(old) = &old
            && (old.node_id != task.node_id || old.service_id != task.service_id)
        {
            self.unlist(old, touched);
        }
        let id = task.id.clone();
        self.of_service.entry(task.service_id.clone()).or_default().insert(id.clone());
        if !task.node_id.is_empty() {
            self.of_node.entry(task.node_id.clone()).or_default().insert(id.clone());
        }
        mark(&task, touched);
        self.tasks.insert(id, task);
    }

    /// Tasks of one service mostly have the same spec and words of the service's, which are most of a
    /// task: they are kept once.
    fn share_spec(&self, task: &mut Arc<Task>, old: Option<&Task>) {
        let service = self.services.get(&task.service_id);
        let specs = [old.map(|old| &old.spec), service.map(|service| &service.spec.task_template)];
        let mut sibling = self.of_service.get(&task.service_id).into_iter().flatten();
        let sibling = sibling.next_back().and_then(|id| self.tasks.get(id));
        let annotations = sibling.map(|task| &task.service_annotations);
        let mut same = specs.into_iter().chain([sibling.map(|task| &task.spec)]).flatten();
        if let Some(spec) = same.find(|spec| ***spec == *task.spec).cloned()
            && let Some(task) = Arc::get_mut(task)
        {
            task.spec = spec;
        }
        let siblings = [old.map(|old| &old.service_annotations), annotations];
        let mut same = siblings.into_iter().flatten();
        if let Some(same) = same.find(|same| ***same == *task.service_annotations).cloned()
            && let Some(task) = Arc::get_mut(task)
        {
            task.service_annotations = same;
        }
    }

    /// Puts a task in, for tests of what reads tables.
    #[cfg(test)]
    pub(crate) fn insert(&mut self, task: Arc<Task>) {
        self.put_task(task, &mut Touched::default());
    }

    fn delete(&mut self, key: &str, touched: &mut Touched) {
        let Some((table, id)) = split(key) else { return };
        let id = Id::from(id);
        match table {
            Cluster::TABLE => {
                self.cluster = None;
                touched.cluster = true;
            }
            Service::TABLE => {
                self.services.remove(&id);
                touched.services.insert(id);
            }
            Task::TABLE => {
                if let Some(old) = self.tasks.remove(&id) {
                    self.unlist(&old, touched);
                }
            }
            Node::TABLE => {
                self.nodes.remove(&id);
                touched.nodes.insert(id);
            }
            Secret::TABLE => {
                self.secrets.remove(&id);
                touched.secrets.insert(id);
            }
            Config::TABLE => {
                self.configs.remove(&id);
                touched.configs.insert(id);
            }
            Network::TABLE => {
                self.networks.remove(&id);
                touched.networks.insert(id);
            }
            Guard::TABLE => {
                self.guards.remove(&id);
            }
            _ => {}
        }
    }

    fn unlist(&mut self, task: &Task, touched: &mut Touched) {
        for (lists, key) in
            [(&mut self.of_service, &task.service_id), (&mut self.of_node, &task.node_id)]
        {
            if let Some(list) = lists.get_mut(key) {
                list.remove(&task.id);
                if list.is_empty() {
                    lists.remove(key);
                }
            }
        }
        mark(task, touched);
    }
}

fn mark(task: &Task, touched: &mut Touched) {
    touched.tasks.insert(task.id.clone());
    touched.services_of_tasks.insert(task.service_id.clone());
    if !task.node_id.is_empty() {
        touched.nodes_of_tasks.insert(task.node_id.clone());
    }
}

fn split(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix(PREFIX)?.split_once('/')
}
