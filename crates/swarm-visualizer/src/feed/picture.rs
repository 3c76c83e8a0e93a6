//! What is shown, as ready JSON, and how one look at the pool differs from the one before. Pure.
//!
//! Invariant: applying each [`Delta`] in turn to what a client has gives what the picture has.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use swarm_backend::{ALWAYS, ContainerSight, NodeSight, PoolSight, ServiceSight};

/// Ready JSON, shared between the picture and what is sent of it.
pub type Json = Arc<RawValue>;

/// One look at the pool; containers are asked for by need.
#[derive(Debug, Default)]
pub struct Look {
    /// The pool as a whole.
    pub pool: PoolSight,
    /// All its nodes.
    pub nodes: Vec<NodeSight>,
    /// All its services.
    pub services: Vec<ServiceSight>,
}

/// What changed between two looks.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delta {
    /// The pool as a whole, where it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Json>,
    /// Nodes that are new or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Json>,
    /// Keys of nodes that are gone; their containers are named as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gone_nodes: Vec<String>,
    /// Services that are new or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Json>,
    /// Ids of services that are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gone_services: Vec<String>,
    /// Containers that are new or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<Json>,
    /// Ids of containers that are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<Arc<str>>,
    /// Nodes whose state changed, for the time line.
    #[serde(skip)]
    pub turns: Vec<Turn>,
}

/// A node's state became another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Its name.
    pub name: String,
    /// What it is now, `gone` when it left the pool.
    pub state: String,
    /// What there is to say of it.
    pub message: String,
}

impl Delta {
    /// Nothing changed.
    pub fn is_empty(&self) -> bool {
        self.pool.is_none()
            && self.nodes.is_empty()
            && self.gone_nodes.is_empty()
            && self.services.is_empty()
            && self.gone_services.is_empty()
            && self.containers.is_empty()
            && self.gone.is_empty()
    }
}

#[derive(Debug)]
struct Row {
    sight: NodeSight,
    json: Json,
    containers: HashMap<Arc<str>, Json>,
}

/// All that is shown.
#[derive(Debug, Default)]
pub struct Picture {
    pool: Option<(PoolSight, Json)>,
    rows: BTreeMap<String, Row>,
    services: BTreeMap<String, (ServiceSight, Json)>,
}

impl Picture {
    /// Takes a look in. `containers` reads those of a node; it is called for nodes alone whose
    /// revision is another than at the last look.
    pub fn take(
        &mut self,
        look: Look,
        mut containers: impl FnMut(&str) -> Vec<ContainerSight>,
    ) -> Delta {
        let mut delta = Delta::default();
        if self.pool.as_ref().is_none_or(|(known, _)| *known != look.pool) {
            let json = json(&look.pool);
            delta.pool = Some(Arc::clone(&json));
            self.pool = Some((look.pool, json));
        }
        self.take_services(look.services, &mut delta);
        let there: HashSet<&str> = look.nodes.iter().map(|node| node.key.as_str()).collect();
        let left: Vec<String> =
            self.rows.keys().filter(|key| !there.contains(key.as_str())).cloned().collect();
        for key in left {
            let Some(row) = self.rows.remove(&key) else { continue };
            delta.gone.extend(row.containers.into_keys());
            delta.turns.push(turn(&row.sight, "gone"));
            delta.gone_nodes.push(key);
        }
        for sight in look.nodes {
            self.take_node(sight, &mut containers, &mut delta);
        }
        // A container that a node lost and another one has now is not gone.
        if !delta.gone.is_empty() {
            let rows = &self.rows;
            delta.gone.retain(|id| !rows.values().any(|row| row.containers.contains_key(id)));
        }
        delta
    }

    fn take_services(&mut self, found: Vec<ServiceSight>, delta: &mut Delta) {
        let mut services = BTreeMap::new();
        for sight in found {
            let known = self.services.remove(&sight.id).filter(|(known, _)| *known == sight);
            let row = known.unwrap_or_else(|| {
                let json = json(&sight);
                delta.services.push(Arc::clone(&json));
                (sight, json)
            });
            services.insert(row.0.id.clone(), row);
        }
        delta.gone_services.extend(std::mem::replace(&mut self.services, services).into_keys());
        let there = &self.services;
        delta.gone_services.retain(|id| !there.contains_key(id));
    }

    fn take_node(
        &mut self,
        sight: NodeSight,
        containers: &mut impl FnMut(&str) -> Vec<ContainerSight>,
        delta: &mut Delta,
    ) {
        let key = sight.key.clone();
        let known = self.rows.get(&key).map(|row| row.sight.revision);
        let read = sight.revision == ALWAYS || known != Some(sight.revision);
        match self.rows.get_mut(&key) {
            None => {
                let json = json(&sight);
                delta.nodes.push(Arc::clone(&json));
                delta.turns.push(turn(&sight, &sight.state));
                let row = Row { sight, json, containers: HashMap::new() };
                self.rows.insert(key.clone(), row);
            }
            Some(row) => {
                let (old, new) = (&row.sight, &sight);
                if old.state != new.state {
                    delta.turns.push(turn(new, &new.state));
                }
                row.sight.revision = sight.revision;
                if row.sight != sight {
                    row.json = json(&sight);
                    delta.nodes.push(Arc::clone(&row.json));
                }
                row.sight = sight;
            }
        }
        if read && let Some(row) = self.rows.get_mut(&key) {
            row.read(containers(&key), delta);
        }
    }

    /// The pool as a whole; `None` before the first look.
    pub fn pool(&self) -> Option<Json> {
        self.pool.as_ref().map(|(_, json)| Arc::clone(json))
    }

    /// All nodes.
    pub fn nodes(&self) -> Vec<Json> {
        self.rows.values().map(|row| Arc::clone(&row.json)).collect()
    }

    /// All services.
    pub fn services(&self) -> Vec<Json> {
        self.services.values().map(|(_, json)| Arc::clone(json)).collect()
    }

    /// All containers.
    pub fn containers(&self) -> Vec<Json> {
        self.rows.values().flat_map(|row| row.containers.values().cloned()).collect()
    }
}

impl Row {
    fn read(&mut self, found: Vec<ContainerSight>, delta: &mut Delta) {
        let mut containers = HashMap::with_capacity(found.len());
        for sight in found {
            let id: Arc<str> = sight.id.as_str().into();
            let new = json(&sight);
            let same = self.containers.remove(&id).filter(|old| old.get() == new.get());
            if same.is_none() {
                delta.containers.push(Arc::clone(&new));
            }
            containers.insert(id, same.unwrap_or(new));
        }
        delta.gone.extend(std::mem::take(&mut self.containers).into_keys());
        self.containers = containers;
    }
}

fn turn(node: &NodeSight, state: &str) -> Turn {
    Turn { name: node.name.clone(), state: state.to_owned(), message: node.message.clone() }
}

fn json(value: &impl Serialize) -> Json {
    // Plain structures of text and numbers; they always can be written.
    serde_json::value::to_raw_value(value)
        .map_or_else(|_| Arc::from(RawValue::NULL.to_owned()), Arc::from)
}

#[cfg(test)]
#[path = "picture_tests.rs"]
mod tests;
