//! A pool or a swarm at a glance, for surfaces that show it live: nodes, their containers and tasks,
//! services, and what would be moved. Nothing here changes anything, and no engine is asked: all comes
//! from what is known. Whoever wants more, or wants something changed, asks as any client
//! ([`Asked`]).
//!
//! A surface waits for [`Overview::watch`], asks for the nodes, and reads the containers of those
//! alone whose revision is another than before.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::{Onward, Reply, Result};

/// Revision of a node that is to be read at every look.
pub const ALWAYS: u64 = u64::MAX;
/// The key of the place where is shown what is on no node now.
pub const NOWHERE: &str = "~";

/// The pool, or the swarm, as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolSight {
    /// `pool` or `swarm`.
    pub kind: &'static str,
    /// The manager's version.
    pub version: String,
    /// How an engine is chosen.
    pub strategy: String,
    /// What an engine may take.
    pub filters: String,
    /// Of a pool's manager `primary` or `replica`; of a swarm's node `leader`, `manager`, `worker`, or
    /// what else it is.
    pub role: String,
    /// Where the primary is, where there are several managers; the leader's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// What names the engines.
    pub discovery: String,
    /// What keeps the pool's state.
    pub store: String,
    /// This manager knows what is wanted of containers: policies, moves, what waits.
    pub keeps: bool,
    /// What is wrong with the pool as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// What this manager cannot show, and who can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Containers and tasks that are not as they are wanted, and why.
    pub waiting: Vec<Waiting>,
}

/// A container that waits to be made anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its name.
    pub name: String,
    /// What it waits for.
    pub reason: String,
}

/// One node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSight {
    /// Tells nodes apart for as long as this manager runs.
    pub key: String,
    /// Another number when its containers may have changed.
    #[serde(skip)]
    pub revision: u64,
    /// The engine's own id; its address before it was reached.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Of a pool's `healthy`, `pending`, `unhealthy`, `maintenance`, `disconnected`, or `down`; of a
    /// swarm's `ready`, `down`, `unknown`, or `disconnected`.
    pub state: String,
    /// `leader`, `manager` or `worker`; empty in a pool.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// What there is to say of its state.
    pub message: String,
    /// `active`, `pause` or `drain`.
    pub availability: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The engine's release.
    pub engine_version: String,
    /// Processors.
    pub cpus: i64,
    /// Of them reserved, times 10⁹.
    pub reserved_nano_cpus: i64,
    /// Bytes of memory.
    pub memory: i64,
    /// Of them reserved.
    pub reserved_memory: i64,
}

/// One container, or one task of a swarm's service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerSight {
    /// Full id; a task's own.
    pub id: String,
    /// Its name; of a task its service and slot.
    pub name: String,
    /// The key of its node.
    pub node: String,
    /// The image as it was named.
    pub image: String,
    /// Docker's word for a container's state, or a task's.
    pub state: String,
    /// Docker's word; empty without a health check.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub health: String,
    /// Exit code of the last run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Published ports, such as `8080→80/tcp`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When it was made, milliseconds since 1970.
    pub created: i64,
    /// When its last run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<i64>,
    /// When its last run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<i64>,
    /// When it moves by itself; absent where this manager does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Cow<'static, str>>,
    /// How often it was decided to make it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Why it was put where it is, where that is still known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placed: Option<String>,
    /// Its last move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<MoveSight>,
    /// Why it is nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// The service that it is known to belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What a task is beside a container; each manager knows it by itself.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub task: Option<TaskSight>,
}

/// What a task is beside a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSight {
    /// Its service's id.
    pub service: String,
    /// Its place in the service, from 1; 0 in a global one.
    pub slot: u64,
    /// Docker's word for what it is to be.
    pub desired: &'static str,
    /// What its manager or node says of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What went wrong.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Its container's id, once it has one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container: String,
}

/// A service of a swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSight {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `replicated`, `global`, `replicated-job`, or `global-job`.
    pub mode: &'static str,
    /// The image as it was named.
    pub image: String,
    /// Tasks that should run.
    pub desired: u64,
    /// Tasks that run.
    pub running: u64,
    /// Of a job, tasks that ended well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<u64>,
    /// Published ports, such as `8080→80/tcp`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How its last update went, in Docker's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<String>,
    /// What there is to say of that.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub update_message: String,
    /// Why fewer run than should.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lacks: String,
}

/// A move that was made, or decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveSight {
    /// When, milliseconds since 1970.
    pub at: i64,
    /// The node it left.
    pub from: String,
    /// The node it went to; absent while that is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why.
    pub reason: String,
}

/// What is to be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Moves that even the pool out, so many at most.
    Rebalance {
        /// How many.
        limit: usize,
    },
    /// Moves that empty a node, named by name, id or key.
    Drain {
        /// Which.
        node: String,
    },
}

/// The port of those who look on.
#[async_trait]
pub trait Overview: Send + Sync {
    /// An item each time something may have changed; several changes may be one item. It ends with
    /// the pool.
    fn watch(&self) -> BoxStream<'static, ()>;
    /// The pool as a whole.
    fn pool(&self) -> PoolSight;
    /// All nodes, by name.
    fn nodes(&self) -> Vec<NodeSight>;
    /// The services of a swarm, by name; none in a pool, whose services are but labels.
    fn services(&self) -> Vec<ServiceSight> {
        Vec::new()
    }
    /// The containers of the node of this key; none where there is no such node any more.
    fn containers(&self, key: &str) -> Vec<ContainerSight>;
    /// What would be moved, in the form of `POST /pool/rebalance`; nothing is.
    fn plan(&self, wanted: &Wanted) -> Result<Reply>;
    /// What happened since then, as far as the engines remember it, and what happens from now on, in the form
    /// of `GET /events`.
    async fn happenings(&self, since: SystemTime) -> Result<Reply>;
}

/// The port of those who ask, and act, as any client of the Docker API does.
#[async_trait]
pub trait Asked: Send + Sync {
    /// A request as a client sends it, version and all; refusals are answers. The caller has a deadline.
    async fn ask(&self, request: Onward) -> Result<Reply>;
}
