//! Control over a store in memory, asked as clients ask: with the bodies that Docker's CLI sends.

mod cluster;
mod data;
mod events;
mod logs;
mod networks;
mod nodes;
mod races;
mod reads;
mod rebalance;
mod services;

use logs::Written;

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use http::{HeaderValue, Method};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use swarm_backend::{ApiError, Exchange, Local, Part, Reply, Result, Served, full};
use swarm_ca::rotation::KeptRoot;
use swarm_ca::{Authority, JoinToken, RootCa};
use swarm_docker::{ApiVersion, Query};
use swarm_model::cluster::JoinTokens;
use swarm_model::{Cluster, ClusterSpec, Time};

use super::Control;
use crate::replica::memory::Memory;
use crate::replica::{Batch, Object, Replica};

/// A manager.
struct Rig {
    store: Arc<Memory>,
    replica: Arc<Replica>,
    control: Arc<Control>,
    logs: Arc<Written>,
}

impl Rig {
    fn new() -> Self {
        let store = Memory::new();
        let replica = Replica::new(Arc::clone(&store) as _);
        let logs = Arc::new(Written::default());
        let control = Control::new(Arc::clone(&replica), Arc::clone(&logs));
        Self { store, replica, control, logs }
    }

    /// One whose swarm has begun.
    async fn begun() -> Self {
        let rig = Self::new();
        rig.put(&cluster()).await;
        rig
    }

    async fn put<O: Object>(&self, object: &O) {
        let mut batch = Batch::default();
        batch.put(object).unwrap();
        self.replica.commit(batch).await.unwrap();
    }
}

fn cluster() -> Cluster {
    let root = RootCa::create(SystemTime::now()).unwrap();
    let token = || JoinToken::generate(root.roots().unwrap().digest()).unwrap().to_text();
    Cluster {
        id: "cluster".into(),
        version: swarm_model::Version::default(),
        created_at: Time(1),
        updated_at: Time(1),
        spec: ClusterSpec::default(),
        join_tokens: JoinTokens { worker: token(), manager: token() },
        authority: json!(Authority::new(KeptRoot::with_key(&root))),
        unlock_key: None,
        default_addr_pool: vec!["10.0.0.0/8".to_owned()],
        subnet_size: 24,
        data_path_port: 4789,
        removed: std::collections::BTreeMap::new(),
    }
}

/// A request with this query and body.
fn ask(query: &str, body: impl Into<String>) -> Exchange {
    let mut exchange = Exchange::get("/");
    exchange.query = Query::parse(query);
    exchange.body = full(body.into());
    exchange.version = Some(ApiVersion::new(1, 50));
    exchange
}

/// A list with these filters.
fn filtered(filters: &Value) -> Exchange {
    let mut exchange = ask("", "");
    exchange.query.set("filters", filters.to_string());
    exchange
}

fn with_auth(mut exchange: Exchange, auth: &'static str) -> Exchange {
    exchange.headers.insert("x-registry-auth", HeaderValue::from_static(auth));
    exchange
}

/// The answer's JSON; `null` where it has no body.
async fn read(reply: Result<Reply>) -> Value {
    let reply = reply.unwrap();
    assert!(reply.status.is_success(), "{}", reply.status);
    let body = reply.body.collect().await.unwrap().to_bytes();
    if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() }
}

/// The refusal's status and words.
fn refused(reply: Result<Reply>) -> (u16, String) {
    let error: ApiError = reply.unwrap_err();
    (error.status().as_u16(), error.message)
}

/// An engine that has one network, and tells what else it was asked.
struct Engine;

#[async_trait]
impl Local for Engine {
    fn served(&self) -> Served {
        let (oldest, newest) = (ApiVersion::OLDEST, ApiVersion::NEWEST);
        Served { oldest, newest, promised: newest }
    }
    fn part(&self) -> Part {
        Part::Manager
    }
    async fn pass(&self, exchange: Exchange) -> Result<Reply> {
        let path = exchange.path.with("").clone();
        if exchange.method == Method::GET && path == "/networks" {
            return Reply::ok(&json!([{ "Name": "bridge", "Id": "e1", "Scope": "local" }]));
        }
        if exchange.method == Method::GET {
            let mut missing = Reply::ok(&json!({ "message": "network x not found" }))?;
            missing.status = http::StatusCode::NOT_FOUND;
            return Ok(missing);
        }
        let body = exchange.body.collect().await.unwrap().to_bytes();
        Reply::ok(&json!({ "engine": String::from_utf8_lossy(&body) }))
    }
    async fn node_info(&self, exchange: Exchange) -> Result<Reply> {
        self.pass(exchange).await
    }
    async fn node_events(&self, exchange: Exchange) -> Result<Reply> {
        self.pass(exchange).await
    }
}

fn networks(method: Method, query: &str, body: &str) -> Exchange {
    let mut exchange = ask(query, body);
    exchange.method = method;
    exchange.path = swarm_backend::ObjectPath::whole("/networks");
    exchange
}
