//! What a node is to run, and what of that it was not told yet. Pure.
//!
//! As in swarmkit, a task is a node's from `assigned` until the store forgets it: one that has ended
//! still has a container whose logs are looked at. One that is to be removed and has ended is no
//! longer. A task is told again when something changes that the node acts on; not when its own reports
//! come back to it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use swarm_model::service::{GenericResource, TaskSpec};
use swarm_model::{Data, Id, Rest, Task, TaskState};
use swarm_rpc::v1::Assignments;

use super::driven::{Driven, Outcome};
use super::drivers::{Ask, driver};
use crate::replica::Tables;

/// What a node was told.
#[derive(Debug, Default)]
pub struct Told {
    begun: bool,
    tasks: HashMap<Id, Known>,
    secrets: HashMap<Id, u64>,
    configs: HashMap<Id, u64>,
    driven: Driven,
}

/// What a node acts on of a task.
#[derive(Debug, PartialEq)]
struct Known {
    desired: TaskState,
    spec: Arc<TaskSpec>,
    generic_resources: Vec<GenericResource>,
    rest: Rest,
    /// The store gave it up.
    orphaned: bool,
}

impl Known {
    fn of(task: &Task) -> Self {
        Self {
            desired: task.desired_state,
            spec: Arc::clone(&task.spec),
            generic_resources: task.generic_resources.clone(),
            rest: task.rest.clone(),
            orphaned: task.status.state == TaskState::Orphaned,
        }
    }
}

impl Told {
    /// What is news for the node: the first time everything. And the values that drivers are to be asked
    /// for.
    pub fn news(&mut self, tables: &Tables, node: &str) -> (Option<Assignments>, Vec<Ask>) {
        let mut news = Assignments { whole: !self.begun, ..Assignments::default() };
        self.begun = true;
        let mut present = BTreeSet::new();
        let (mut secrets, mut configs) = (BTreeSet::new(), BTreeSet::new());
        let mut driven: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
        for task in tables.tasks_of_node(node).filter(|task| is_assignment(task)) {
            present.insert(task.id.clone());
            if task.holds_node() {
                let mut own = BTreeSet::new();
                needs(&task.spec, &mut own, &mut configs);
                for id in own {
                    let secret = tables.secrets.get(&id);
                    if secret.is_some_and(|secret| driver(secret).is_some()) {
                        driven.entry(id).or_default().insert(task.id.clone());
                    } else {
                        secrets.insert(id);
                    }
                }
            }
            let known = Known::of(task);
            if self.tasks.get(&task.id) != Some(&known) {
                news.tasks.extend(json(&**task));
                self.tasks.insert(task.id.clone(), known);
            }
        }
        self.tasks.retain(|id, _| {
            let stays = present.contains(id);
            if !stays {
                news.gone_tasks.push(id.to_string());
            }
            stays
        });
        let data = |id: &Id| tables.secrets.get(id).map(|secret| &secret.0);
        (news.secrets, news.gone_secrets) = differing(&mut self.secrets, &secrets, data);
        let data = |id: &Id| tables.configs.get(id).map(|config| &config.0);
        (news.configs, news.gone_configs) = differing(&mut self.configs, &configs, data);
        let (asks, gone) = self.driven.look(&driven);
        news.gone_secrets.extend(gone);
        let asks = self.asked(asks, tables);
        ((news != Assignments::default()).then_some(news), asks)
    }

    /// A driver answered: what the node is given, and what is to be asked for now.
    pub fn answered(
        &mut self,
        tables: &Tables,
        ask: &Ask,
        outcome: Outcome,
        data: &Data,
    ) -> (Option<Assignments>, Vec<Ask>) {
        let (is_wanted, next) = self.driven.answered(ask.secret(), ask.task(), outcome);
        let given = is_wanted.then(|| Assignments {
            secrets: json(data).into_iter().collect(),
            ..Assignments::default()
        });
        (given, self.asked(next, tables))
    }

    /// Pairs of secret and task as what is to be asked for. One that is gone meanwhile is asked for by
    /// nobody, and keeps no other task waiting.
    fn asked(&mut self, pairs: Vec<(Id, Id)>, tables: &Tables) -> Vec<Ask> {
        let (mut pairs, mut asks) = (VecDeque::from(pairs), Vec::new());
        while let Some((secret, task)) = pairs.pop_front() {
            if let (Some(secret), Some(task)) =
                (tables.secrets.get(&secret), tables.tasks.get(&task))
            {
                asks.push(Ask::new(Arc::clone(secret), Arc::clone(task), tables));
            } else {
                let (_, others) = self.driven.answered(&secret, &task, Outcome::Failed);
                pairs.extend(others);
            }
        }
        asks
    }

    /// Whether the node was told of this secret or config.
    pub fn has_data(&self, ids: &BTreeSet<Id>) -> bool {
        ids.iter().any(|id| {
            self.secrets.contains_key(id) || self.driven.has(id) || self.configs.contains_key(id)
        })
    }
}

fn is_assignment(task: &Task) -> bool {
    let is_over = task.desired_state == TaskState::Remove && task.status.state.is_end();
    task.status.state >= TaskState::Assigned && !is_over
}

/// Adds the ids of the secrets and configs that a task's container is given.
fn needs(spec: &TaskSpec, secrets: &mut BTreeSet<Id>, configs: &mut BTreeSet<Id>) {
    let Some(container) = &spec.container_spec else { return };
    for (list, key, ids) in
        [("Secrets", "SecretID", &mut *secrets), ("Configs", "ConfigID", &mut *configs)]
    {
        let named = container.rest.get(list).and_then(Value::as_array).into_iter().flatten();
        ids.extend(named.filter_map(|one| one.get(key)?.as_str()).map(Id::from));
    }
    // A credential spec may be a config of its own.
    let credential = container
        .rest
        .get("Privileges")
        .and_then(|privileges| privileges.get("CredentialSpec")?.get("Config")?.as_str());
    configs.extend(credential.filter(|id| !id.is_empty()).map(Id::from));
}

/// What of `wanted` is new or was changed, and what is not wanted or not there any more.
fn differing<'a>(
    told: &mut HashMap<Id, u64>,
    wanted: &BTreeSet<Id>,
    data: impl Fn(&Id) -> Option<&'a Data>,
) -> (Vec<Bytes>, Vec<String>) {
    let (mut new, mut gone) = (Vec::new(), Vec::new());
    let found = wanted.iter().filter_map(|id| Some((id, data(id)?)));
    for (id, data) in found {
        if told.insert(id.clone(), data.version.index) != Some(data.version.index) {
            new.extend(json(data));
        }
    }
    told.retain(|id, _| {
        let stays = wanted.contains(id) && data(id).is_some();
        if !stays {
            gone.push(id.to_string());
        }
        stays
    });
    (new, gone)
}

fn json(object: &impl Serialize) -> Option<Bytes> {
    // What was read from the store can be written again.
    serde_json::to_vec(object).ok().map(Bytes::from)
}
