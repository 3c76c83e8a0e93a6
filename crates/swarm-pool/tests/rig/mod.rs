//! A pool over a simulated fleet, asked through the ports as a surface asks it.
//!
//! Leaves the engines' books and faults to `swarm_testkit::fleet`, and every assertion to the
//! tests. What can only be seen by looking again is looked at every few milliseconds, up to a
//! bound that fails the test in words.
// Each test binary uses its own part of it, and bodies are written where they are sent.
#![allow(dead_code, unreachable_pub, unused_imports, clippy::needless_pass_by_value)]

mod events;
mod named;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use swarm_backend::{
    ApiError, Containers, Effect, Exchange, Networks, ObjectPath, Reply, System, full,
};
use swarm_core::placement::filter::FilterSet;
use swarm_core::placement::strategy::Strategy;
use swarm_docker::Query;
use swarm_engine::{ClientOptions, EngineClient, Outgoing};
use swarm_kv::Layout;
use swarm_memory::Memory;
use swarm_pool::{Build, Election, KeySource, Pool, PoolConfig, RescheduleConfig, StoreConfig};
use swarm_testkit::fleet::{Engine, Fleet, FleetConfig};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use events::{Events, nanos};
pub use named::Named;

/// Far more than anything here takes on a loaded machine.
pub const LONG: Duration = Duration::from_secs(20);

/// What a port answers.
pub type Answer<T> = Result<T, ApiError>;

/// A pool and the engines it follows.
pub struct Rig {
    pub fleet: Fleet,
    pub pool: Arc<Pool>,
    pub named: Named,
    pub store: Arc<Memory>,
    stop: DropGuard,
}

/// Settings as `swarm manage` has them by default.
pub fn config() -> PoolConfig {
    PoolConfig {
        strategy: Strategy::Spread,
        filters: FilterSet::default(),
        overcommit: 0.0,
        create_retries: 0,
        refresh: (Duration::from_secs(30), Duration::from_mins(1)),
        failure_retries: 3,
        refresh_on_node_filter: false,
        refresh_on_name: None,
        reschedule: RescheduleConfig::default(),
        election: Election::alone(),
        engine: ClientOptions::default(),
        build: Build { version: "0.0.0", commit: "test" },
        swarm: None,
    }
}

/// A pool's state in `store`.
pub fn kept_in(store: &Arc<Memory>) -> StoreConfig {
    StoreConfig {
        store: Arc::clone(store) as _,
        layout: Layout::new("", None),
        key: KeySource::Store,
    }
}

impl Rig {
    /// A pool over this many engines without containers, all healthy.
    pub async fn of(engines: usize) -> Self {
        Self::with(FleetConfig { engines, ..FleetConfig::default() }, config()).await
    }

    /// A pool over a fleet, all of it healthy.
    pub async fn with(fleet: FleetConfig, config: PoolConfig) -> Self {
        let fleet = Fleet::start(fleet).await.unwrap();
        let named = Named::of(fleet.engines());
        let rig = Self::over(fleet, named, config);
        rig.all_healthy(LONG).await;
        rig
    }

    /// A pool over what `named` names, whatever its state.
    pub fn over(fleet: Fleet, named: Named, config: PoolConfig) -> Self {
        Self::on(fleet, named, Memory::new(), config)
    }

    /// A pool over what `named` names, with its state in `store`.
    pub fn on(fleet: Fleet, named: Named, store: Arc<Memory>, config: PoolConfig) -> Self {
        let stop = CancellationToken::new();
        let kept = kept_in(&store);
        let pool = Pool::start(config, Arc::new(named.clone()), kept, stop.clone());
        Self { fleet, pool, named, store, stop: stop.drop_guard() }
    }

    /// A second manager over the same engines.
    pub fn second(&self, config: PoolConfig) -> (Arc<Pool>, DropGuard) {
        let stop = CancellationToken::new();
        let kept = kept_in(&Memory::new());
        let pool = Pool::start(config, Arc::new(self.named.clone()), kept, stop.clone());
        (pool, stop.drop_guard())
    }

    /// A manager over the same engines and the same store, the first one given up.
    pub fn second_on_store(&self, config: PoolConfig) -> (Arc<Pool>, DropGuard) {
        let stop = CancellationToken::new();
        let kept = kept_in(&self.store);
        let pool = Pool::start(config, Arc::new(self.named.clone()), kept, stop.clone());
        (pool, stop.drop_guard())
    }

    /// Ends the manager; its engines go on.
    pub fn end(self) -> (Fleet, Named) {
        drop(self.stop);
        (self.fleet, self.named)
    }

    /// Every engine of the fleet shows as healthy within `limit`.
    pub async fn all_healthy(&self, limit: Duration) {
        for engine in self.fleet.engines() {
            self.status(engine, "Healthy", limit).await;
        }
    }

    /// The engine shows this status within `limit`.
    pub async fn status(&self, engine: &Engine, status: &str, limit: Duration) {
        let address = engine.address().to_string();
        eventually(&format!("{} is {status}", engine.name()), limit, async || {
            row(&info(&self.pool).await, &address, "Status").as_deref() == Some(status)
        })
        .await;
    }

    /// A row of the engine's block in `docker info`.
    pub async fn row(&self, engine: &Engine, row_name: &str) -> Option<String> {
        row(&info(&self.pool).await, &engine.address().to_string(), row_name)
    }
}

/// A row of `GET /info` about the engine at `address`.
pub fn row(info: &Value, address: &str, name: &str) -> Option<String> {
    let rows: Vec<(&str, &str)> = info["SystemStatus"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row[0].as_str().unwrap(), row[1].as_str().unwrap()))
        .collect();
    let at = rows.iter().position(|(_, value)| *value == address)?;
    let block = rows[at + 1..].iter().take_while(|(key, _)| key.starts_with("  └ "));
    block
        .filter(|(key, _)| key[5..].trim_start() == name)
        .map(|(_, value)| (*value).to_owned())
        .next()
}

/// Looks again until it holds; fails the test after `limit`.
pub async fn eventually(what: &str, limit: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + limit;
    while !holds().await {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// It is done within `limit`.
pub async fn within<T>(what: &str, limit: Duration, doing: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let done = timeout(limit.max(LONG), doing).await;
    let took = start.elapsed();
    assert!(took <= limit, "{what} took {took:?}, more than {limit:?}");
    done.unwrap()
}

/// A request as a surface hands it on.
pub fn exchange(
    method: Method,
    path: (&str, &str),
    query: &[(&str, &str)],
    body: &Value,
) -> Exchange {
    let mut asked = Query::default();
    for (key, value) in query {
        asked.push(key, *value);
    }
    let mut exchange = Exchange::get("");
    exchange.method = method;
    exchange.path = ObjectPath { before: path.0.to_owned(), after: path.1.to_owned() };
    exchange.query = asked;
    if !body.is_null() {
        exchange.headers.insert("content-type", "application/json".parse().unwrap());
        exchange.body = full(body.to_string());
    }
    exchange
}

/// A reply read whole; a refusal by an engine is an error like one of the pool's own.
pub async fn whole(reply: Answer<Reply>) -> Answer<Value> {
    let reply = reply?;
    let bytes = reply.body.collect().await.unwrap().to_bytes();
    let value: Value =
        if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
    if reply.status.is_success() || reply.status == StatusCode::NOT_MODIFIED {
        return Ok(value);
    }
    let message = value["message"].as_str().unwrap_or_default().to_owned();
    Err(ApiError::engine(reply.status.as_u16(), message))
}

/// `GET /info`.
pub async fn info(pool: &Pool) -> Value {
    whole(pool.info(Exchange::get("/info")).await).await.unwrap()
}

/// `GET /containers/json`.
pub async fn list(pool: &Pool, query: &[(&str, &str)]) -> Vec<Value> {
    let asked = exchange(Method::GET, ("/containers/json", ""), query, &Value::Null);
    let list = whole(pool.list_containers(asked).await).await.unwrap();
    list.as_array().unwrap().clone()
}

/// The first names of all containers, sorted.
pub async fn names(pool: &Pool) -> Vec<String> {
    let listed = list(pool, &[("all", "1")]).await;
    let mut names: Vec<_> =
        listed.iter().map(|entry| entry["Names"][0].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// A create body of an image that every engine has, with more over it.
pub fn body(more: Value) -> Value {
    let mut body = json!({"Image": "busybox"});
    let more = more.as_object().cloned().unwrap_or_default();
    body.as_object_mut().unwrap().extend(more);
    body
}

/// `POST /containers/create`; the id.
pub async fn create(pool: &Pool, name: &str, more: Value) -> Answer<String> {
    let asked = exchange(Method::POST, ("/containers/create", ""), &[("name", name)], &body(more));
    let made = whole(pool.create_container(asked).await).await?;
    Ok(made["Id"].as_str().unwrap().to_owned())
}

/// `GET /containers/{name}/json`.
pub async fn inspect(pool: &Pool, name: &str) -> Answer<Value> {
    let asked = exchange(Method::GET, ("/containers/", "/json"), &[], &Value::Null);
    whole(pool.inspect_container(name, asked).await).await
}

/// The name of the node a container is on.
pub async fn node_of(pool: &Pool, name: &str) -> String {
    inspect(pool, name)
        .await
        .map_or_else(|_| String::new(), |found| found["Node"]["Name"].as_str().unwrap().to_owned())
}

/// `POST /containers/{name}/{verb}`.
pub async fn act(pool: &Pool, name: &str, verb: &str, more: &Value) -> Answer<Value> {
    let after = format!("/{verb}");
    let asked = exchange(Method::POST, ("/containers/", &after), &[], more);
    whole(pool.forward_container(name, asked, Effect::Changes).await).await
}

/// `POST /containers/{name}/rename`.
pub async fn rename(pool: &Pool, name: &str, to: &str) -> Answer<Value> {
    let asked = exchange(Method::POST, ("/containers/", "/rename"), &[("name", to)], &Value::Null);
    whole(pool.rename_container(name, asked).await).await
}

/// `DELETE /containers/{name}?force=1`.
pub async fn remove(pool: &Pool, name: &str) -> Answer<Value> {
    let asked = exchange(Method::DELETE, ("/containers/", ""), &[("force", "1")], &Value::Null);
    whole(pool.forward_container(name, asked, Effect::Changes).await).await
}

/// A request straight to an engine, beside every manager; its answer's JSON.
pub async fn direct(engine: &Engine, method: Method, path: &str, body: &Value) -> Answer<Value> {
    let client =
        EngineClient::new(engine.address().to_string().parse().unwrap(), ClientOptions::default());
    let mut outgoing = Outgoing::get(path);
    outgoing.method = method;
    if !body.is_null() {
        outgoing.body = full(body.to_string());
    }
    whole(client.send(outgoing, Some(LONG)).await.map_err(|error| error.to_api(engine.name())))
        .await
}

/// `POST /networks/create`.
pub async fn create_network(pool: &Pool, name: &str) -> Answer<Value> {
    let body = json!({"Name": name, "Driver": "bridge", "CheckDuplicate": true});
    let asked = exchange(Method::POST, ("/networks/create", ""), &[], &body);
    whole(pool.create_network(asked).await).await
}
