//! The pool as those who look on see it: nodes, containers, and what would be moved.
//!
//! All of it comes from snapshots; a look costs one pass over the engines, and one over the
//! containers of those engines that changed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use swarm_backend::{
    ALWAYS, ApiError, ContainerSight, Exchange, MoveSight, NOWHERE, NodeSight, Overview, PoolSight,
    Reply, Result, Waiting, Wanted,
};
use swarm_docker::container::{Health, ListEntry, State};
use swarm_model::{EngineRecord, Intent, Place};
use tokio::sync::watch;

use super::Node;
use crate::Pool;
use crate::engine::{Engine, Status};

/// The key of a node that only the store knows begins so; no address does.
const RECORD: &str = "record:";
/// How many of those that wait are named.
const NAMED: usize = 100;

#[async_trait]
impl Overview for Pool {
    fn watch(&self) -> BoxStream<'static, ()> {
        let state = &self.shared.state;
        let counts: [watch::Receiver<u64>; 5] = [
            self.shared.sights.subscribe(),
            self.shared.changes.subscribe(),
            state.hidings(),
            state.engines.ended(),
            state.intents.ended(),
        ];
        let news = counts.map(|count| {
            stream::unfold(count, |mut count| async move {
                count.changed().await.is_ok().then_some(((), count))
            })
            .boxed()
        });
        stream::select_all(news).boxed()
    }

    fn pool(&self) -> PoolSight {
        let shared = &self.shared;
        let election = &shared.config.election;
        let mut rows: HashMap<_, _> = election.rows().into_iter().collect();
        let held = shared.keeping.held().into_iter().take(NAMED);
        PoolSight {
            kind: "pool",
            version: shared.config.build.version.to_owned(),
            strategy: shared.scheduler.strategy(),
            filters: shared.scheduler.filters(),
            role: rows.remove("Role").unwrap_or_default(),
            primary: rows.remove("Primary"),
            discovery: self.discovery.describe(),
            store: shared.state.store.describe(),
            keeps: shared.state.is_loaded(),
            warning: election.warning(),
            note: None,
            waiting: held.map(|one| Waiting { name: one.name, reason: one.reason }).collect(),
        }
    }

    fn nodes(&self) -> Vec<NodeSight> {
        let state = &self.shared.state;
        // What hides containers, or who keeps, is nothing that an engine's own number tells.
        let hidings = *state.hidings().borrow();
        let members = self.members.all();
        let mut known = HashSet::new();
        let mut addresses = HashSet::new();
        let mut nodes = Vec::with_capacity(members.len());
        for member in members.iter() {
            let revision = member.revision() + hidings;
            let reference = member.reference();
            let record = reference.as_ref().and_then(|known| state.engines.get(&known.id));
            match reference {
                Some(reference) => known.insert(reference.id),
                None => addresses.insert(member.view().address.to_string()),
            };
            let node = Node { member: Some(Arc::clone(member)), record };
            nodes.push(self.node_sight(&node, member.view().address.to_string(), revision));
        }
        for record in state.engines.all() {
            let is_member =
                known.contains(&record.engine.id) || addresses.contains(&record.address);
            if !record.gone && !is_member {
                let key = format!("{RECORD}{}", record.engine.id);
                let node = Node { member: None, record: Some(record) };
                nodes.push(self.node_sight(&node, key, ALWAYS));
            }
        }
        if !self.nowhere().is_empty() {
            nodes.push(NodeSight {
                key: NOWHERE.to_owned(),
                revision: ALWAYS,
                id: NOWHERE.to_owned(),
                name: "no engine".to_owned(),
                state: "waiting".to_owned(),
                message: "wanted, and on no engine now".to_owned(),
                availability: "active".to_owned(),
                ..NodeSight::default()
            });
        }
        nodes.sort_by(|a, b| (&a.name, &a.key).cmp(&(&b.name, &b.key)));
        nodes
    }

    fn containers(&self, key: &str) -> Vec<ContainerSight> {
        if key == NOWHERE {
            return self.nowhere().into_iter().map(|(entry, _)| self.lost_sight(&entry)).collect();
        }
        if let Some(id) = key.strip_prefix(RECORD) {
            let Some(record) = self.shared.state.engines.get(id) else { return Vec::new() };
            let here = self.lost_entries().into_iter().filter(|(_, node)| is_on(&record, node));
            let sights = here.map(|(entry, _)| self.lost_sight(&entry));
            return sights.map(|sight| ContainerSight { node: key.to_owned(), ..sight }).collect();
        }
        let members = self.members.all();
        let Some(member) = members.iter().find(|member| *member.view().address == *key) else {
            return Vec::new();
        };
        self.on(member, key)
    }

    fn plan(&self, wanted: &Wanted) -> Result<Reply> {
        if !self.shared.state.is_loaded() {
            let rows: HashMap<_, _> = self.shared.config.election.rows().into_iter().collect();
            return Err(ApiError::unavailable(match rows.get("Primary") {
                Some(primary) => format!(
                    "only the primary can plan moves: look at the page of the manager at {primary}"
                ),
                None => "this manager is taking over; try again".to_owned(),
            }));
        }
        let plan = match wanted {
            Wanted::Rebalance { limit } => self.plan_rebalance(*limit),
            Wanted::Drain { node } => {
                let found = self.pool_node(node)?;
                let reference = found.member.as_deref().and_then(Engine::reference);
                let Some(reference) = reference else {
                    return Err(ApiError::unavailable(format!(
                        "node {node} has not been reached: nothing can be moved off it"
                    )));
                };
                self.plan_drain_of(&reference.id)
            }
        };
        Reply::ok(&self.plan_json(&plan))
    }

    async fn happenings(&self, since: SystemTime) -> Result<Reply> {
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut exchange = Exchange::get("/events");
        exchange.query.set("since", format!("{}.{:09}", since.as_secs(), since.subsec_nanos()));
        self.event_stream(exchange).await
    }
}

/// Whether a node's name in a list is this record's.
fn is_on(record: &EngineRecord, node: &str) -> bool {
    record.engine.name == node
}

impl Pool {
    fn node_sight(&self, node: &Node, key: String, revision: u64) -> NodeSight {
        let shape = self.shape(node);
        let view = node.member.as_ref().map(|member| member.view());
        let reserved = view.as_ref().map(|view| view.reserved).unwrap_or_default();
        NodeSight {
            key,
            revision,
            state: view.as_ref().map_or("down", |view| word(view.status)).to_owned(),
            message: shape.message,
            role: String::new(),
            availability: shape.availability.as_str().to_owned(),
            labels: (*shape.labels).clone(),
            engine_version: shape.engine_version,
            cpus: shape.cpus,
            reserved_nano_cpus: reserved.nano_cpus,
            memory: shape.memory,
            reserved_memory: reserved.memory,
            id: shape.id,
            name: shape.name,
            address: shape.address,
        }
    }

    fn on(&self, member: &Engine, key: &str) -> Vec<ContainerSight> {
        let state = &self.shared.state;
        let view = member.view();
        let shown = view.containers.iter().filter(|one| !state.is_superseded(one.id()));
        shown
            .map(|container| {
                let id = container.swarm_id();
                let intent = id.and_then(|id| state.intents.get(id));
                let placed = self.shared.placed.of(container.id());
                ContainerSight { placed, ..sight(&container.entry, key, intent.as_deref()) }
            })
            .collect()
    }

    /// Lost containers of which no engine is known either that could be shown.
    fn nowhere(&self) -> Vec<(ListEntry, String)> {
        let mut lost = self.lost_entries();
        if !lost.is_empty() {
            let known = self.known_engines();
            let records = self.shared.state.engines.all();
            let shown = |node: &str| {
                records.iter().any(|record| {
                    !record.gone && !known.contains(&record.engine.id) && is_on(record, node)
                })
            };
            lost.retain(|(_, node)| !shown(node));
        }
        lost
    }

    fn lost_sight(&self, entry: &ListEntry) -> ContainerSight {
        let intents = &self.shared.state.intents;
        let intent = intents.get(entry.id()).or_else(|| self.shared.state.intent_at(entry.id()));
        sight(entry, NOWHERE, intent.as_deref())
    }
}

fn sight(entry: &ListEntry, key: &str, intent: Option<&Intent>) -> ContainerSight {
    let state = entry.state();
    let millis = |nanos: i64| nanos / 1_000_000;
    let ended = matches!(state.state, State::Exited | State::Dead | State::Restarting);
    let published = entry.ports().iter().filter_map(|port| {
        Some(format!("{}→{}/{}", port.public?, port.private, port.protocol.as_str()))
    });
    let mut ports: Vec<String> = published.collect();
    ports.sort_unstable();
    ports.dedup();
    let labels = entry.labels().iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    ContainerSight {
        id: entry.id().to_owned(),
        name: entry.name().to_owned(),
        node: key.to_owned(),
        image: entry.image().to_owned(),
        state: state.state.as_str().to_owned(),
        health: match state.health {
            Health::None => String::new(),
            known => known.as_str().to_owned(),
        },
        exit_code: ended.then_some(state.exit_code),
        ports,
        labels: labels.collect(),
        created: millis(entry.created().as_nanos()),
        started: state.started.map(|at| millis(at.as_nanos())),
        finished: state.finished.filter(|_| ended).map(|at| millis(at.as_nanos())),
        policy: intent.map(|intent| intent.policy.as_str().into()),
        generation: intent.map(|intent| intent.generation),
        placed: None,
        moved: intent.and_then(|intent| intent.moves.last()).map(|moved| MoveSight {
            at: moved.at.saturating_mul(1_000),
            from: moved.from.name.clone(),
            to: moved.to.as_ref().map(|to| to.name.clone()),
            reason: moved.reason.clone(),
        }),
        waits: intent.and_then(|intent| match &intent.place {
            Place::Nowhere { reason } => Some(reason.clone()),
            Place::Going { .. } | Place::At { .. } => None,
        }),
        service: None,
        task: None,
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Healthy => "healthy",
        Status::Unhealthy => "unhealthy",
        Status::Disconnected => "disconnected",
        Status::Maintenance => "maintenance",
    }
}
