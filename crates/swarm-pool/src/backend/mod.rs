//! The Docker API's ports over a pool: one file per resource, each saying what is served from the
//! cache, what goes to one engine, and what is asked of all and merged.

mod blame;
mod bring;
mod build;
mod build_sessions;
mod containers;
pub(crate) mod create;
mod events;
mod exec;
mod image_holders;
mod image_list;
mod image_pattern;
mod images;
mod info;
pub(crate) mod intents;
mod kept;
mod list;
mod load;
mod lost;
mod networks;
mod nodes;
mod placing;
mod plugins;
mod progress;
mod prune;
mod pull;
mod push;
mod spread;
mod system;
mod usage;
mod volumes;

pub(crate) use build_sessions::Sessions;
pub(crate) use exec::Execs;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use swarm_backend::{ApiError, Body, Effect, Exchange, ObjectPath, Reply, Result};
use swarm_docker::{ApiVersion, ErrorClass, Query};

use crate::Pool;
use crate::engine::{CHANGE_DEADLINE, Engine, READ_DEADLINE};
use crate::index::{Located, LookupError};

/// Largest JSON document accepted from a client or an engine where it must be read whole.
const LARGEST_DOCUMENT: usize = 64 << 20;

/// The deadline, until the reply's headers, of a request with this effect.
fn deadline(effect: Effect) -> Option<Duration> {
    match effect {
        Effect::Reads => Some(READ_DEADLINE),
        Effect::Changes => Some(CHANGE_DEADLINE),
        Effect::Streams => None,
    }
}

/// 64 hexadecimal digits, the form of Docker's ids.
fn random_id() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().fold(String::with_capacity(64), |mut id, byte| {
        for digit in [byte >> 4, byte & 15] {
            id.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
        id
    })
}

/// Reads a body that must be whole to be understood.
async fn read_whole(body: Body) -> Result<Bytes> {
    swarm_backend::read_whole(body, LARGEST_DOCUMENT).await
}

/// An engine's whole answer: its document, or its refusal as an error with its own status.
pub(crate) async fn document(reply: Reply) -> Result<Bytes> {
    let status = reply.status;
    // Here it is the engine's body that breaks off, which is no fault of the client's.
    let body = read_whole(reply.body).await.map_err(|error| match error.class {
        ErrorClass::InvalidParameter => ApiError::unavailable(error.message),
        _ => error,
    })?;
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(body);
    }
    let message = serde_json::from_slice::<Value>(&body)
        .ok()
        .and_then(|error| error.get("message")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(&body).trim().to_owned());
    Err(ApiError::engine(status.as_u16(), message))
}

/// An engine's whole answer as JSON.
async fn json(reply: Reply) -> Result<Value> {
    let body = document(reply).await?;
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body)
        .map_err(|error| ApiError::system(format!("an engine's answer is no JSON: {error}")))
}

/// An engine's answer to a removal; what is not there any more is removed as well.
async fn gone(reply: Reply) -> Result<()> {
    match document(reply).await {
        Err(error) if error.status() == StatusCode::NOT_FOUND => Ok(()),
        answer => answer.map(drop),
    }
}

/// A request's body, and how to make the same request with another.
fn apart(exchange: Exchange) -> (Body, impl Fn(Body) -> Exchange) {
    let Exchange { method, path, query, version, headers, body, upgrade: _ } = exchange;
    let like = move |body| Exchange {
        method: method.clone(),
        path: path.clone(),
        query: query.clone(),
        version,
        headers: headers.clone(),
        upgrade: None,
        body,
    };
    (body, like)
}

/// A request read whole, so that it can be sent to several engines.
struct Copied {
    method: Method,
    path: ObjectPath,
    query: Query,
    version: Option<ApiVersion>,
    headers: HeaderMap,
    body: Bytes,
}

impl Copied {
    async fn read(exchange: Exchange) -> Result<Self> {
        let Exchange { method, path, query, version, headers, body, upgrade: _ } = exchange;
        Ok(Self { method, path, query, version, headers, body: read_whole(body).await? })
    }

    fn copy(&self) -> Exchange {
        Exchange {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            version: self.version,
            headers: self.headers.clone(),
            upgrade: None,
            body: swarm_backend::full(self.body.clone()),
        }
    }

    async fn send(&self, engine: &Engine, object: &str, effect: Effect) -> Result<Reply> {
        engine.forward(self.copy(), object, deadline(effect)).await
    }
}

impl Pool {
    /// The container a client means, and its engine.
    async fn container(&self, name: &str) -> Result<(Arc<Engine>, Located)> {
        let mut found = self.find_container(name);
        if found.is_err() {
            // It may have been made beside the manager an instant ago, or one of several removed: what
            // is being read back now is waited for, and no longer.
            self.settle_all().await;
            found = self.find_container(name);
        }
        if let (Err(LookupError::Missing), Some(id)) = (&found, self.moved_container(name)) {
            found = self.find_container(&id);
        }
        let unseen = || self.lost_container(name).or_else(|| self.coming_container(name));
        let located = found.map_err(|error| match (&error, unseen()) {
            (LookupError::Missing, Some(intent)) => Self::lost_words(&intent),
            _ => error.into_api(name, |id| self.full_name(id)),
        })?;
        let engine = self
            .members
            .get(located.engine)
            .ok_or_else(|| ApiError::not_found(format!("No such container: {name}")))?;
        Ok((engine, located))
    }

    fn find_container(&self, name: &str) -> std::result::Result<Located, LookupError> {
        self.shared
            .index
            .find(name, |node| self.members.named(node).iter().map(|engine| engine.key()).collect())
    }

    /// `node/name` of a container, for messages.
    fn full_name(&self, id: &str) -> String {
        let Ok(located) = self.find_container(id) else { return id.to_owned() };
        let node = self.members.get(located.engine).map(|engine| engine.label());
        let name = located
            .container
            .as_ref()
            .and_then(|container| container.names().next().map(str::to_owned));
        format!(
            "{}/{}",
            node.unwrap_or_default(),
            name.unwrap_or_else(|| id.chars().take(12).collect())
        )
    }

    /// Every write made through the API has been read back.
    fn is_settled(&self) -> bool {
        self.members.all().iter().all(|engine| engine.is_settled())
    }

    /// Waits until every engine's own writes have been read back.
    async fn settle_all(&self) {
        let engines = self.members.all();
        let unsettled = engines.iter().filter(|engine| !engine.is_settled());
        futures_util::future::join_all(unsettled.map(|engine| engine.settle())).await;
    }

    /// The engines that a `node=` filter (or the lack of one) selects; an unknown name is an error
    /// that lists the known ones.
    fn engines_for(&self, nodes: &[String]) -> Result<Vec<Arc<Engine>>> {
        if nodes.is_empty() {
            return Ok(self.members.reachable());
        }
        let mut chosen: Vec<Arc<Engine>> = Vec::new();
        for node in nodes {
            for engine in self.node(node)? {
                if !chosen.iter().any(|known| known.key() == engine.key()) {
                    chosen.push(engine);
                }
            }
        }
        Ok(chosen)
    }

    /// The engines of one name; at least one.
    fn node(&self, name: &str) -> Result<Vec<Arc<Engine>>> {
        let engines = self.members.named(name);
        if engines.is_empty() {
            let known: Vec<_> =
                self.members.all().iter().take(10).map(|engine| engine.label()).collect();
            return Err(ApiError::not_found(format!(
                "no node {name} in the pool; nodes are {}{}",
                known.join(", "),
                if self.members.all().len() > 10 { ", …" } else { "" }
            )));
        }
        Ok(engines)
    }

    /// Any one reachable engine, for questions that every engine answers alike.
    fn any_engine(&self) -> Result<Arc<Engine>> {
        let engines = self.members.reachable();
        if engines.is_empty() {
            return Err(crate::fanout::nobody());
        }
        let place = rand::Rng::random_range(&mut rand::rng(), 0..engines.len());
        Ok(Arc::clone(&engines[place]))
    }
}
