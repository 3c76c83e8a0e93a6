//! The swarm as those who look on see it, on any manager: nodes, services and tasks from its own copy of
//! the store; and where it leads, the containers beside them, which the pool over all nodes knows.
//!
//! Invariants: nothing is asked of an engine; what only the leader knows is said to be so; a node that is
//! no manager says that in words, and shows nothing.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use swarm_backend::{
    ApiError, ContainerSight, NOWHERE, NodeSight, Overview, Part, PoolSight, Reply, Result,
    ServiceSight, Wanted,
};
use swarm_docker::container::LABEL_TASK_ID;
use swarm_doctor::may_be_lost;
use swarm_manager::overview::{self, Look};
use swarm_manager::replica::Member;
use swarm_pool::Pool;
use tokio::sync::watch;

use super::watching::Watching;
use crate::manager::Manager;
use crate::node::Node;

/// See the module.
pub struct Onlooker {
    node: Arc<Node>,
    pool: Arc<Pool>,
    version: &'static str,
    /// The last look; what is read of a node belongs to it.
    last: Mutex<Arc<Last>>,
    /// The managers, as they answered last.
    members: Arc<watch::Sender<Vec<Member>>>,
}

/// One look at the swarm, and at the engines of the same moment.
#[derive(Default)]
struct Last {
    look: Look,
    /// Of the leader, the engines behind the pool by their nodes' ids: key and revision there. What is on
    /// no engine, and engines of nodes that left, are by their keys there.
    engines: HashMap<String, (String, u64)>,
    /// Engines of nodes that left, with what is lost with them.
    left: Vec<NodeSight>,
}

impl Onlooker {
    pub(super) fn new(node: Arc<Node>, pool: Arc<Pool>, version: &'static str) -> Self {
        let members = Arc::new(watch::Sender::default());
        Self { node, pool, version, last: Mutex::default(), members }
    }

    /// The manager that leads, if it is this one.
    fn leading(&self) -> Option<Arc<Manager>> {
        let manager = self.node.manager().ok()?;
        let leads = manager.store().leadership().borrow().leads;
        leads.then_some(manager)
    }

    /// With what the pool over all nodes knows.
    fn with_engines(&self, look: Look) -> Last {
        let mut last = Last { look, ..Last::default() };
        for node in self.pool.nodes() {
            let id = id_of(&node.key);
            let key = id.clone().unwrap_or_else(|| node.key.clone());
            last.engines.insert(key, (node.key.clone(), node.revision));
            if id.is_none() && node.key != NOWHERE {
                last.left.push(node);
            }
        }
        last
    }

    fn no_manager(&self) -> PoolSight {
        let part = self.node.standing().part();
        let info = self.node.info();
        let managers = info.remote_managers.unwrap_or_default();
        let managers: Vec<_> = managers.iter().map(|one| one.addr.as_str()).collect();
        let warning = match part {
            Part::Inactive => {
                "This node is in no swarm: docker swarm init or docker swarm join make it a part of \
                 one, and then its managers show it."
                    .to_owned()
            }
            Part::Worker => format!(
                "This node is a worker of its swarm, and only managers know the swarm: look at the page \
                 of one of them ({}), served by swarm daemon --ui there; or promote this node (docker \
                 node promote).",
                managers.join(", ")
            ),
            _ => crate::words::no_manager(part, self.node.trouble().as_deref()).message,
        };
        PoolSight {
            kind: "swarm",
            version: self.version.to_owned(),
            role: if part == Part::Worker { "worker" } else { part.state() }.to_owned(),
            warning: Some(warning),
            ..PoolSight::default()
        }
    }

    /// What is wrong with the managers as a whole.
    fn trouble(&self, knows_leader: bool) -> Option<String> {
        let members = self.members.borrow();
        let voters: Vec<_> = members.iter().filter(|member| member.votes).collect();
        let answering = voters.iter().filter(|member| member.reachable).count();
        let all = voters.len();
        if !knows_leader {
            return Some(format!(
                "the swarm has no leader: what runs goes on, and nothing can be changed until more \
                 than half of its managers answer{}",
                if all > 0 { format!(" ({answering} of {all} do)") } else { String::new() }
            ));
        }
        if answering == all {
            return None;
        }
        Some(format!("{answering} of {all} managers answer: {}", may_be_lost(answering, all)))
    }
}

/// The node that an engine's key in the pool names.
fn id_of(key: &str) -> Option<String> {
    let rest = key.strip_prefix("node://")?;
    Some(rest.split('/').next().unwrap_or(rest).to_owned())
}

#[async_trait]
impl Overview for Onlooker {
    fn watch(&self) -> BoxStream<'static, ()> {
        let (node, members) = (Arc::clone(&self.node), Arc::clone(&self.members));
        let watching = Watching::new(node, Overview::watch(&*self.pool), members);
        stream::unfold(watching, |mut watching| async move {
            watching.news().await;
            Some(((), watching))
        })
        .boxed()
    }

    fn pool(&self) -> PoolSight {
        let Ok(manager) = self.node.manager() else {
            *self.last.lock() = Arc::default();
            return self.no_manager();
        };
        let now = manager.store().leadership().borrow().clone();
        let members = self.members.borrow().clone();
        let leader = now.leader.as_deref();
        let look = manager.replica().read(|tables| Look::new(tables, leader, &members));
        let name = look.nodes.iter().find(|node| node.role == "leader");
        let name = name.map(|node| node.name.clone());
        let note = (!now.leads).then(|| match &name {
            Some(name) => format!(
                "containers that are no tasks are shown by the leader alone: {name}, {}",
                leader.unwrap_or_default()
            ),
            None => "containers that are no tasks are shown by the leader alone".to_owned(),
        });
        let mut waiting = look.waiting.clone();
        let last = if now.leads {
            waiting.extend(self.pool.pool().waiting);
            self.with_engines(look)
        } else {
            Last { look, ..Last::default() }
        };
        *self.last.lock() = Arc::new(last);
        PoolSight {
            kind: "swarm",
            version: self.version.to_owned(),
            role: if now.leads { "leader" } else { "manager" }.to_owned(),
            primary: name,
            keeps: true,
            warning: self.trouble(now.leads || now.leader.is_some()),
            note,
            waiting,
            ..PoolSight::default()
        }
    }

    fn nodes(&self) -> Vec<NodeSight> {
        let last = Arc::clone(&self.last.lock());
        let Last { look, engines, left } = &*last;
        let mut nodes = look.nodes.clone();
        for node in &mut nodes {
            let mut hasher = DefaultHasher::new();
            (node.revision, engines.get(&node.key).map(|(_, revision)| revision)).hash(&mut hasher);
            node.revision = hasher.finish() >> 1;
        }
        nodes.extend(left.iter().cloned());
        let homeless = look.on("");
        let containers = engines.get(NOWHERE);
        if !homeless.is_empty() || containers.is_some() {
            nodes.push(NodeSight {
                key: NOWHERE.to_owned(),
                revision: containers
                    .map_or_else(|| overview::revision_of(homeless), |(_, revision)| *revision),
                id: NOWHERE.to_owned(),
                name: "no node".to_owned(),
                state: "waiting".to_owned(),
                message: "wanted, and on no node yet".to_owned(),
                availability: "active".to_owned(),
                ..NodeSight::default()
            });
        }
        nodes
    }

    fn services(&self) -> Vec<ServiceSight> {
        self.last.lock().look.services.clone()
    }

    fn containers(&self, key: &str) -> Vec<ContainerSight> {
        let last = Arc::clone(&self.last.lock());
        let Last { look, engines, .. } = &*last;
        let tasks = look.on(if key == NOWHERE { "" } else { key });
        let mut sights: Vec<_> =
            tasks.iter().map(|task| overview::task_sight(task, look.name(task), key)).collect();
        let Some(manager) = self.leading() else { return sights };
        let Some((engine, _)) = engines.get(key) else { return sights };
        let found = self.pool.containers(engine);
        let history: HashSet<String> = manager.replica().read(|tables| {
            let named = found.iter().filter_map(|one| one.labels.get(LABEL_TASK_ID));
            named.filter(|task| tables.tasks.contains_key(task.as_str())).cloned().collect()
        });
        for one in found {
            let task = one.labels.get(LABEL_TASK_ID);
            let tile = task.and_then(|task| sights.iter_mut().find(|tile| tile.id == *task));
            if let Some(tile) = tile {
                // What its engine knows better than its manager.
                tile.health = one.health;
                if !one.ports.is_empty() {
                    tile.ports = one.ports;
                }
            } else if task.is_none_or(|task| !history.contains(task)) {
                sights.push(ContainerSight { node: key.to_owned(), ..one });
            }
        }
        sights
    }

    fn plan(&self, wanted: &Wanted) -> Result<Reply> {
        let manager = self.node.manager()?;
        let mut plan = manager.replica().read(|tables| overview::plan(tables, wanted))?;
        if let Wanted::Drain { node } = wanted {
            // Nobody may be looking meanwhile.
            let _ = self.pool();
            self.keep_containers(node, &mut plan);
        }
        Reply::ok(&plan)
    }

    async fn happenings(&self) -> Result<Reply> {
        if self.node.manager().is_err() {
            return Err(ApiError::unavailable("this node is no manager"));
        }
        self.pool.happenings().await
    }
}

impl Onlooker {
    /// Containers of their own stay where they are, whatever a swarm wants of their node.
    fn keep_containers(&self, node: &str, plan: &mut Value) {
        let last = Arc::clone(&self.last.lock());
        let mut nodes = last.look.nodes.iter();
        let Some(node) = nodes.find(|one| one.id == node || one.name == node) else {
            return;
        };
        let Some(kept) = plan["Kept"].as_array_mut() else { return };
        for one in self.containers(&node.key) {
            if one.task.is_none() && one.state == "running" {
                kept.push(json!({"Container": one.name, "ID": one.id, "Node": node.name,
                    "Reason": "it is no task: a drain leaves it where it is"}));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_s_key_names_its_node() {
        assert_eq!(id_of("node://abc/10.0.0.1").as_deref(), Some("abc"));
        assert_eq!(id_of("node://abc").as_deref(), Some("abc"));
        assert_eq!(id_of("10.0.0.1:2375"), None);
    }
}
