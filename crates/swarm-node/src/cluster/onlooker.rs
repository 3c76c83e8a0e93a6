//! The swarm as those who look on see it, on any manager: nodes, services and tasks from its own copy of
//! the store; and the containers beside them, which the pool over all nodes knows where it leads, and
//! which the leader tells of where another does.
//!
//! Invariants: nothing is asked of an engine; where the leader does not tell, that is said; a node that is
//! no manager says that in words, and shows nothing.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use swarm_backend::{
    ALWAYS, ApiError, ContainerSight, NOWHERE, NodeSight, Overview, Part, PoolSight, Reply, Result,
    ServiceSight, Wanted,
};
use swarm_docker::container::LABEL_TASK_ID;
use swarm_doctor::may_be_lost;
use swarm_manager::Clock;
use swarm_manager::overview::{self, Look};
use swarm_manager::replica::Member;
use swarm_pool::Pool;
use tokio::sync::watch;

use super::afar::{Afar, with_leaders};
use super::forward::Forwarder;
use super::watching::{Since, Watching};
use crate::node::Node;

/// A node's state in the pool before its engine was read.
const UNREAD: &str = "pending";

/// See the module.
pub struct Onlooker {
    node: Arc<Node>,
    pool: Arc<Pool>,
    forwarder: Forwarder,
    /// The engines as another leader tells of them.
    afar: Arc<Afar>,
    version: &'static str,
    /// The last look; what is read of a node belongs to it.
    last: Mutex<Last>,
    /// What changed since.
    since: Arc<Since>,
    /// The managers, as they answered last.
    members: Arc<watch::Sender<Vec<Member>>>,
}

/// One look at the swarm, and at the engines of the same moment.
#[derive(Default)]
struct Last {
    look: Look,
    /// The engines behind the pool by their nodes' ids. What is on no engine, and engines of nodes that
    /// left, are by their keys there.
    engines: HashMap<String, Engine>,
    /// Engines of nodes that left, with what is lost with them.
    left: Vec<NodeSight>,
}

/// One engine behind the pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Engine {
    /// Its key there.
    key: String,
    /// Another number when what is on it may have changed.
    revision: u64,
    /// Another leader told of it: this manager does not see it, or not yet.
    is_afar: bool,
}

impl Last {
    /// Which engines there are is seen anew.
    fn forget_engines(&mut self) {
        self.engines.clear();
        self.left.clear();
    }

    fn take(&mut self, node: NodeSight, is_afar: bool) {
        let id = id_of(&node.key);
        let key = id.clone().unwrap_or_else(|| node.key.clone());
        let engine = Engine { key: node.key.clone(), revision: node.revision, is_afar };
        self.engines.insert(key, engine);
        if id.is_none() && node.key != NOWHERE {
            self.left.push(node);
        }
    }
}

impl Onlooker {
    pub(super) fn new(
        node: Arc<Node>,
        pool: Arc<Pool>,
        forwarder: Forwarder,
        version: &'static str,
    ) -> Self {
        let (members, afar) = (Arc::new(watch::Sender::default()), Arc::default());
        Self {
            node,
            pool,
            forwarder,
            afar,
            version,
            last: Mutex::default(),
            since: Arc::default(),
            members,
        }
    }

    /// With what is known of the engines.
    fn see_engines(&self, last: &mut Last, leads: bool) {
        last.forget_engines();
        let mut known = self.afar.known();
        if !leads {
            known.nodes().into_iter().for_each(|node| last.take(node, true));
            return;
        }
        for node in self.pool.nodes() {
            // The last leader knew it; what this one would show of it is nothing.
            if node.state == UNREAD && known.has(&node.key) {
                last.take(node, true);
            } else {
                known.forget(&node.key);
                last.take(node, false);
            }
        }
    }

    /// What is on an engine.
    fn on(&self, engine: &Engine) -> Vec<ContainerSight> {
        if engine.is_afar {
            return self.afar.known().containers(&engine.key);
        }
        self.pool.containers(&engine.key)
    }

    /// What a manager that does not lead cannot show.
    fn note(&self, leader: Option<&str>, name: Option<&str>) -> Option<String> {
        let known = self.afar.known();
        let why = known.trouble()?;
        let leader = match (name, leader) {
            (Some(name), Some(address)) => format!("the leader ({name}, {address})"),
            _ => "the last leader".to_owned(),
        };
        Some(format!(
            "containers that are no tasks may be old: {leader} alone is connected to the engines, and \
             does not tell of them: {why}"
        ))
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

/// A revision of what consists of parts.
fn number(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    // The largest number means something else.
    hasher.finish() >> 1
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
        let afar = (Arc::clone(&self.afar), self.forwarder.clone());
        let watching = Watching::new(
            node,
            Overview::watch(&*self.pool),
            members,
            afar,
            Arc::clone(&self.since),
        );
        stream::unfold(watching, |mut watching| async move {
            watching.news().await;
            Some(((), watching))
        })
        .boxed()
    }

    fn pool(&self) -> PoolSight {
        let Ok(manager) = self.node.manager() else {
            *self.last.lock() = Last::default();
            return self.no_manager();
        };
        let now = manager.store().leadership().borrow().clone();
        let members = self.members.borrow().clone();
        let leader = now.leader.as_deref();
        let mut last = self.last.lock();
        manager.replica().read(|tables| {
            last.look.again(tables, &self.since.take(), leader, &members);
        });
        let look = &last.look;
        let name = look.nodes.iter().find(|node| node.role == "leader");
        let name = name.map(|node| node.name.clone());
        let mut waiting = look.waiting.clone();
        let note = if now.leads {
            waiting.extend(self.pool.pool().waiting);
            None
        } else {
            waiting.extend(self.afar.known().waiting().iter().cloned());
            self.note(leader, name.as_deref())
        };
        self.see_engines(&mut last, now.leads);
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
        let last = self.last.lock();
        let Last { look, engines, left } = &*last;
        let mut nodes = look.nodes.clone();
        for node in &mut nodes {
            node.revision = number((node.revision, engines.get(&node.key)));
        }
        nodes.extend(left.iter().cloned());
        let homeless = look.on("");
        let containers = engines.get(NOWHERE);
        if !homeless.is_empty() || containers.is_some() {
            nodes.push(NodeSight {
                key: NOWHERE.to_owned(),
                revision: match containers {
                    Some(engine) if engine.revision == ALWAYS => ALWAYS,
                    _ => number((overview::revision_of(homeless), containers)),
                },
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
        let last = self.last.lock();
        let Last { look, engines, .. } = &*last;
        let tasks = look.on(if key == NOWHERE { "" } else { key });
        let mut sights: Vec<_> =
            tasks.iter().map(|task| overview::task_sight(task, look.name(task), key)).collect();
        let Ok(manager) = self.node.manager() else { return sights };
        let Some(engine) = engines.get(key) else { return sights };
        let found = self.on(engine);
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
        let mut plan = manager.replica().read(|tables| {
            overview::plan(tables, wanted, Clock::system().now(tables), &mut rand::rng())
        })?;
        if let Wanted::Drain { node } = wanted {
            // Nobody may be looking meanwhile.
            let _ = self.pool();
            self.keep_containers(node, &mut plan);
        }
        Reply::ok(&plan)
    }

    async fn happenings(&self, since: SystemTime) -> Result<Reply> {
        if self.node.manager().is_err() {
            return Err(ApiError::unavailable("this node is no manager"));
        }
        let mut reply = self.pool.happenings(since).await?;
        let own = std::mem::replace(&mut reply.body, swarm_backend::empty());
        reply.body = with_leaders(own, Arc::clone(&self.node), self.forwarder.clone(), since);
        Ok(reply)
    }
}

impl Onlooker {
    /// Containers of their own stay where they are, whatever a swarm wants of their node.
    fn keep_containers(&self, node: &str, plan: &mut Value) {
        let found = {
            let last = self.last.lock();
            let mut nodes = last.look.nodes.iter();
            nodes.find(|one| one.id == node || one.name == node).cloned()
        };
        let Some(node) = found else { return };
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
