//! `/nodes`: the pool's engines as Docker shows nodes, their availability, and taking one out. Where
//! the engines are a swarm's nodes, it is the swarm's.
//!
//! Shown are engines that discovery names, and those that only the pool's store still knows. What a
//! new availability brings about is the keeper's; this only keeps it.

mod overview;
mod rebalance;
mod shape;
mod sights;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use swarm_backend::{ApiError, Exchange, InSwarm, Nodes, Pools, Reply, Result, empty};
use swarm_discovery::{DiscoveryError, Entry};
use swarm_docker::{Filters, OUT_OF_SEQUENCE};
use swarm_kv::StoreError;
use swarm_model::{Availability, EngineRecord};
use tracing::info;

use super::read_whole;
use crate::Pool;
use crate::clock;
use crate::engine::Engine;
use shape::Shape;

/// How long an engine that was taken out may take to be gone from this manager's list.
const LEAVING: Duration = Duration::from_secs(10);
/// How long discovery may take to forget one.
const DEREGISTER: Duration = Duration::from_secs(10);

/// An engine of the pool: as this manager sees it, as the store keeps it, or both.
struct Node {
    member: Option<Arc<Engine>>,
    record: Option<Arc<EngineRecord>>,
}

/// `Spec` of an update; what is absent stays.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Spec {
    name: Option<String>,
    role: Option<String>,
    availability: Option<String>,
    labels: Option<std::collections::BTreeMap<String, String>>,
}

#[async_trait]
impl Nodes for Pool {
    async fn list_nodes(&self, exchange: Exchange) -> Result<Reply> {
        if let Some(swarm) = self.swarm() {
            return swarm.list_nodes(exchange).await;
        }
        let filters = Filters::from_query(&exchange.query)?;
        filters.accept(&["id", "name", "role", "label", "node.label", "membership"])?;
        let nodes = self.nodes();
        let shapes = nodes.iter().map(|node| self.shape(node));
        let shown: Vec<Value> =
            shapes.filter(|shape| shape.passes(&filters)).map(Shape::into_json).collect();
        Reply::ok(&shown)
    }

    async fn inspect_node(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        if let Some(swarm) = self.swarm() {
            return swarm.inspect_node(name, exchange).await;
        }
        let node = self.pool_node(name)?;
        Reply::ok(&self.shape(&node).into_json())
    }

    async fn update_node(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        if let Some(swarm) = self.swarm() {
            return swarm.update_node(name, exchange).await;
        }
        let node = self.pool_node(name)?;
        let version = exchange.query.number("version")?;
        let shape = self.shape(&node);
        let body = read_whole(exchange.body).await?;
        let spec: Spec = serde_json::from_slice(&body)
            .map_err(|error| ApiError::invalid(format!("invalid node spec: {error}")))?;
        let availability = spec.check(&shape)?;
        let record = node.record.ok_or_else(|| self.not_known(&shape.name))?;
        if version.is_none_or(|version| version != record.updated) {
            let words = match version {
                Some(_) => {
                    format!("{OUT_OF_SEQUENCE}: it was changed meanwhile; look and try again")
                }
                None => "the node's version is missing (?version=, Version.Index of its inspect)"
                    .to_owned(),
            };
            return Err(ApiError::invalid(words));
        }
        self.set_availability(&record, availability).await?;
        Ok(Reply::json(http::StatusCode::OK, bytes::Bytes::new()))
    }

    async fn remove_node(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        if let Some(swarm) = self.swarm() {
            return swarm.remove_node(name, exchange).await;
        }
        let node = self.pool_node(name)?;
        self.take_out(node, exchange.query.flag("force")).await?;
        let mut reply = Reply::no_content();
        reply.status = http::StatusCode::OK;
        reply.body = empty();
        Ok(reply)
    }
}

#[async_trait]
impl Pools for Pool {
    async fn rebalance(&self, exchange: Exchange) -> Result<Reply> {
        match self.swarm() {
            // Services are evened out; containers of their own stay where they are.
            Some(swarm) => swarm.rebalance(exchange).await,
            None => self.rebalanced(&exchange),
        }
    }
}

impl Spec {
    /// The new availability; what a pool cannot change of a node is refused.
    fn check(&self, shape: &Shape) -> Result<Availability> {
        let refused = |what: &str| {
            Err(ApiError::invalid(format!(
                "{what} of a pool's node cannot be changed here: only its availability can"
            )))
        };
        if self.role.as_deref().is_some_and(|role| !role.is_empty() && role != "worker") {
            return refused("the role");
        }
        if self.name.as_deref().is_some_and(|name| !name.is_empty() && name != shape.name) {
            return refused("the name");
        }
        if self.labels.as_ref().is_some_and(|labels| *labels != *shape.labels) {
            return refused("the labels (they are its dockerd's own, --label)");
        }
        match self.availability.as_deref().unwrap_or_default() {
            "" => Ok(shape.availability),
            "active" => Ok(Availability::Active),
            "pause" => Ok(Availability::Pause),
            "drain" => Ok(Availability::Drain),
            other => Err(ApiError::invalid(format!(
                "invalid availability {other:?} (expected active, pause or drain)"
            ))),
        }
    }
}

impl Pool {
    /// All nodes, by name.
    fn nodes(&self) -> Vec<Node> {
        if self.shared.state.is_loaded() {
            // Whoever is shown as ready can be changed.
            self.follow_engines();
        }
        let records = self.shared.state.engines.all();
        let members = self.members.all();
        let mut nodes: Vec<Node> = members
            .iter()
            .map(|member| {
                let id = member.reference().map(|reference| reference.id);
                let record = id.and_then(|id| self.shared.state.engines.get(&id));
                Node { member: Some(Arc::clone(member)), record }
            })
            .collect();
        for record in records.into_iter().filter(|record| !record.gone) {
            let known = |node: &Node| {
                node.record.as_ref().is_some_and(|known| known.engine.id == record.engine.id)
                    // Not reached since this manager began: known by its address.
                    || node.member.as_ref().is_some_and(|member| {
                        member.reference().is_none() && *member.view().address == *record.address
                    })
            };
            match nodes.iter_mut().find(|node| known(node)) {
                Some(node) => node.record = Some(record),
                None => nodes.push(Node { member: None, record: Some(record) }),
            }
        }
        nodes.sort_by_cached_key(|node| {
            let shape = self.shape(node);
            (shape.name, shape.id)
        });
        nodes
    }

    fn shape(&self, node: &Node) -> Shape {
        let record = node.record.as_deref();
        let drain = record
            .filter(|record| record.availability == Availability::Drain)
            .and_then(|record| self.drain_of(&record.engine.id));
        Shape::new(node.member.as_deref(), record, drain)
    }

    /// The node that a client means: by id, name, address, or the beginning of one id only.
    fn pool_node(&self, asked: &str) -> Result<Node> {
        let mut nodes: Vec<(Shape, Node)> =
            self.nodes().into_iter().map(|node| (self.shape(&node), node)).collect();
        let exact = |shape: &Shape| {
            if shape.id == asked { 0 } else { u8::from(shape.name != asked) + 1 }
        };
        let best = nodes.iter().map(|(shape, _)| exact(shape)).min().unwrap_or(2);
        nodes.retain(|(shape, _)| {
            exact(shape) == best
                && (best < 2 || shape.id.starts_with(asked) || shape.address == asked)
        });
        match nodes.len() {
            1 => {}
            0 => return Err(ApiError::not_found(format!("node {asked} not found"))),
            many => {
                return Err(ApiError::invalid(format!(
                    "node {asked} is ambiguous ({many} matches found)"
                )));
            }
        }
        let found = nodes.pop().map(|(_, node)| node);
        found.ok_or_else(|| ApiError::not_found(format!("node {asked} not found")))
    }

    fn not_known(&self, name: &str) -> ApiError {
        ApiError::unavailable(if self.shared.state.is_loaded() {
            format!("node {name} has not been reached yet")
        } else {
            "this manager is taking over; try again".to_owned()
        })
    }

    async fn set_availability(
        &self,
        record: &EngineRecord,
        availability: Availability,
    ) -> Result<()> {
        let (id, name) = (&record.engine.id, &record.engine.name);
        if record.availability == availability {
            return Ok(());
        }
        // Before the change: the keeper may begin at once.
        self.shared.keeping.forget_drain(id);
        let version = self.shared.state.engines.change(id, |record| {
            record.availability = availability;
            record.updated = next_version(record.updated);
        });
        self.shared.scheduler.set_availability(id, availability);
        if let Some(version) = version {
            self.record_stored(id, version, name).await?;
        }
        info!(engine = %name, availability = availability.as_str(), "availability");
        self.shared.keeper.notify_one();
        Ok(())
    }

    async fn record_stored(&self, id: &str, version: u64, name: &str) -> Result<()> {
        let stored = self.shared.state.engines.stored(id, version).await;
        stored.map_err(|error: StoreError| {
            ApiError::unavailable(format!(
                "it is in force, but the store does not keep it of node {name} yet: {error}"
            ))
        })
    }

    /// Takes an engine out of the pool; what it had is lost, and by its policy made elsewhere.
    async fn take_out(&self, node: Node, force: bool) -> Result<()> {
        let shape = self.shape(&node);
        let name = &shape.name;
        if let Some(member) = &node.member {
            if member.is_reachable() && !force {
                return Err(ApiError::conflict(format!(
                    "node {name} is not down and can't be removed: drain it and stop its agent, or \
                     use --force to leave what runs on it outside the pool"
                )));
            }
        } else if !self.shared.state.is_loaded() {
            return Err(self.not_known(name));
        }
        self.deregister(&shape).await?;
        if let Some(member) = &node.member {
            self.until_gone(member, name).await?;
        }
        if let Some(record) = &node.record {
            let id = &record.engine.id;
            let version = self.shared.state.engines.change(id, |record| {
                record.gone = true;
                record.availability = Availability::Active;
                record.updated = next_version(record.updated);
            });
            self.shared.scheduler.set_availability(id, Availability::Active);
            if let Some(version) = version {
                self.record_stored(id, version, name).await?;
            }
        }
        info!(engine = %name, "taken out of the pool");
        self.shared.keeper.notify_one();
        Ok(())
    }

    async fn deregister(&self, shape: &Shape) -> Result<()> {
        let Ok(entry) = shape.address.parse::<Entry>() else { return Ok(()) };
        let asked = tokio::time::timeout(DEREGISTER, self.discovery.deregister(&entry)).await;
        let refused = |why: String| {
            Err(ApiError::unavailable(format!("node {} is not removed: {why}", shape.name)))
        };
        match asked {
            Ok(Ok(())) => Ok(()),
            Ok(Err(DiscoveryError::NoRegistration { .. })) if !shape.is_member => Ok(()),
            Ok(Err(DiscoveryError::NoRegistration { .. })) => Err(ApiError::conflict(format!(
                "node {} is named by {}: take it out there",
                shape.name,
                self.discovery.describe()
            ))),
            Ok(Err(error)) => refused(error.to_string()),
            Err(_) => refused(format!("{} does not answer", self.discovery.describe())),
        }
    }

    /// Waits until this manager has let go of an engine.
    async fn until_gone(&self, member: &Engine, name: &str) -> Result<()> {
        let gone = async {
            while self.members.get(member.key()).is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(LEAVING, gone).await;
        waited.map_err(|_| {
            ApiError::conflict(format!(
                "node {name} was deregistered and is still named by {}",
                self.discovery.describe()
            ))
        })
    }
}

/// A record's version: the second of its change, and always more than before.
fn next_version(before: i64) -> i64 {
    (clock::now_millis() / 1_000).max(before + 1)
}
