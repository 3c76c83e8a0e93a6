//! `/networks/…` of a simulated engine.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::Engine;
use super::container::stamp;
use super::events::Subject;
use super::filter::Filters;
use super::id::Id;
use super::reply::{self, Outcome, Refusal, quoted};
use super::route::Call;
use super::state::Books;

/// A network of one engine.
#[derive(Debug)]
pub(super) struct Network {
    pub id: Id,
    pub name: Box<str>,
    pub driver: Box<str>,
    labels: Map<String, Value>,
    options: Map<String, Value>,
    internal: bool,
    created: i64,
    /// Which 172.x block it has.
    block: u8,
}

/// `bridge`, `host` and `none`, with ids of this engine's own.
pub(super) fn standard(engine: &str) -> Vec<Arc<Network>> {
    [("bridge", "bridge"), ("host", "host"), ("none", "null")]
        .into_iter()
        .map(|(name, driver)| {
            Arc::new(Network {
                id: Id::of(&format!("{engine}/{name}")),
                name: name.into(),
                driver: driver.into(),
                labels: Map::new(),
                options: Map::new(),
                internal: false,
                created: 1_700_000_000_000_000_000,
                block: 17,
            })
        })
        .collect()
}

impl Books {
    pub fn network(&self, key: &str) -> Result<&Arc<Network>, Refusal> {
        self.networks
            .iter()
            .find(|network| *network.name == *key)
            .or_else(|| {
                let long = key.len() >= 4;
                self.networks.iter().find(|network| long && network.id.has_prefix(key))
            })
            .ok_or_else(|| Refusal::not_found(format!("network {key} not found")))
    }
}

fn show(books: &Books, network: &Arc<Network>, members: bool) -> Value {
    let mut containers = Map::new();
    if members {
        for container in books.containers.values().filter(|c| c.state.is_up()) {
            if container.networks.iter().any(|n| n.id == network.id) {
                containers.insert(
                    container.id.to_string(),
                    json!({
                        "Name": &*container.name, "EndpointID": container.id.to_string(),
                        "MacAddress": "02:42:ac:11:00:02",
                        "IPv4Address": format!("172.{}.0.{}/16", network.block, container.ordinal % 250 + 2),
                        "IPv6Address": ""
                    }),
                );
            }
        }
    }
    let subnets = if matches!(&*network.driver, "host" | "null") {
        json!([])
    } else {
        json!([{ "Subnet": format!("172.{}.0.0/16", network.block), "Gateway": format!("172.{}.0.1", network.block) }])
    };
    json!({
        "Name": network.name, "Id": network.id.to_string(), "Created": stamp(network.created),
        "Scope": "local", "Driver": network.driver, "EnableIPv6": false,
        "IPAM": {"Driver": "default", "Options": null, "Config": subnets},
        "Internal": network.internal, "Attachable": false, "Ingress": false,
        "ConfigFrom": {"Network": ""}, "ConfigOnly": false, "Containers": containers,
        "Options": network.options, "Labels": network.labels
    })
}

pub(super) fn list(engine: &Engine, call: &Call) -> Outcome {
    let filters = Filters::parse(call.get("filters"))?;
    let books = engine.books.lock();
    let networks: Vec<Value> = books
        .networks
        .iter()
        .filter(|network| {
            let builtin = matches!(&*network.name, "bridge" | "host" | "none");
            filters.name(&network.name)
                && filters.any("id", |id| network.id.has_prefix(id))
                && filters.any("driver", |driver| *network.driver == **driver)
                && filters.any("scope", |scope| scope == "local")
                && filters.any("type", |kind| (kind == "builtin") == builtin)
                && filters.labels(|key| {
                    network.labels.get(key).and_then(Value::as_str).map(str::to_owned)
                })
        })
        .map(|network| show(&books, network, false))
        .collect();
    Ok(reply::value(&Value::from(networks)))
}

pub(super) fn create(engine: &Engine, call: &Call) -> Outcome {
    let body = call.json()?;
    let name = body.get("Name").and_then(Value::as_str).unwrap_or_default();
    if name.trim().is_empty() {
        return Err(Refusal::bad("name is invalid, should not be empty"));
    }
    let now = engine.now();
    let mut books = engine.books.lock();
    let check = body.get("CheckDuplicate").and_then(Value::as_bool) != Some(false);
    if check && books.networks.iter().any(|network| *network.name == *name) {
        return Err(Refusal::conflict(format!("network with name {name} already exists")));
    }
    let map = |key: &str| body.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    let id = Id::random();
    let network = Arc::new(Network {
        id,
        name: name.into(),
        driver: body
            .get("Driver")
            .and_then(Value::as_str)
            .filter(|d| !d.is_empty())
            .unwrap_or("bridge")
            .into(),
        labels: map("Labels"),
        options: map("Options"),
        internal: body.get("Internal").and_then(Value::as_bool) == Some(true),
        created: now,
        block: u8::try_from(15 + books.networks.len() % 200).unwrap_or(18),
    });
    publish(&mut books, now, "create", &network);
    books.networks.push(network);
    Ok(reply::json(StatusCode::CREATED, format!("{{\"Id\":\"{id}\",\"Warning\":\"\"}}\n")))
}

pub(super) fn inspect(engine: &Engine, call: &Call) -> Outcome {
    let books = engine.books.lock();
    let network = books.network(&call.key)?;
    Ok(reply::value(&show(&books, network, true)))
}

pub(super) fn connect(engine: &Engine, call: &Call) -> Outcome {
    let body = call.json()?;
    let who = body.get("Container").and_then(Value::as_str).unwrap_or_default().to_owned();
    let now = engine.now();
    let mut books = engine.books.lock();
    let network = Arc::clone(books.network(&call.key)?);
    let at = books.find(&who)?;
    let container = books.get_mut(&who)?;
    if container.networks.iter().any(|n| n.id == network.id) {
        return Err(Refusal(
            StatusCode::FORBIDDEN,
            format!(
                "endpoint with name {} already exists in network {}",
                container.name, network.name
            ),
        ));
    }
    container.networks.push(Arc::clone(&network));
    books.publish_network(&network, "connect", at, now);
    Ok(reply::empty(StatusCode::OK))
}

pub(super) fn disconnect(engine: &Engine, call: &Call) -> Outcome {
    let body = call.json()?;
    let who = body.get("Container").and_then(Value::as_str).unwrap_or_default().to_owned();
    let now = engine.now();
    let mut books = engine.books.lock();
    let network = Arc::clone(books.network(&call.key)?);
    let at = books.find(&who)?;
    let container = books.get_mut(&who)?;
    if !container.networks.iter().any(|n| n.id == network.id) {
        return Err(Refusal(
            StatusCode::FORBIDDEN,
            format!("container {} is not connected to network {}", container.id, network.name),
        ));
    }
    container.networks.retain(|n| n.id != network.id);
    books.publish_network(&network, "disconnect", at, now);
    Ok(reply::empty(StatusCode::OK))
}

pub(super) fn remove(engine: &Engine, call: &Call) -> Outcome {
    let now = engine.now();
    let mut books = engine.books.lock();
    let network = Arc::clone(books.network(&call.key)?);
    if matches!(&*network.name, "bridge" | "host" | "none") {
        return Err(Refusal(
            StatusCode::FORBIDDEN,
            format!("{} is a pre-defined network and cannot be removed", network.name),
        ));
    }
    let active = |c: &super::container::Container| {
        c.state.is_up() && c.networks.iter().any(|n| n.id == network.id)
    };
    if books.containers.values().any(active) {
        return Err(Refusal(
            StatusCode::FORBIDDEN,
            format!(
                "error while removing network: network {} id {} has active endpoints",
                network.name, network.id
            ),
        ));
    }
    books.networks.retain(|n| n.id != network.id);
    publish(&mut books, now, "destroy", &network);
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn prune(engine: &Engine) -> reply::Reply {
    let now = engine.now();
    let mut books = engine.books.lock();
    let unused: Vec<Arc<Network>> = books
        .networks
        .iter()
        .filter(|network| {
            !matches!(&*network.name, "bridge" | "host" | "none")
                && !books.containers.values().any(|c| c.networks.iter().any(|n| n.id == network.id))
        })
        .cloned()
        .collect();
    for network in &unused {
        books.networks.retain(|n| n.id != network.id);
        publish(&mut books, now, "destroy", network);
    }
    let names: Vec<&str> = unused.iter().map(|network| &*network.name).collect();
    reply::value(&json!({ "NetworksDeleted": names }))
}

fn publish(books: &mut Books, now: i64, action: &str, network: &Network) {
    let attributes =
        format!("\"name\":{},\"type\":{}", quoted(&network.name), quoted(&network.driver));
    let id = network.id.to_string();
    let subject = Subject { kind: "network", id: &id, attributes: &attributes, from: None };
    books.events.publish(now, action, subject);
}
