//! `/volumes/…` of a simulated engine.

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

/// A volume of one engine.
#[derive(Debug)]
pub(super) struct Volume {
    driver: String,
    labels: Map<String, Value>,
    options: Map<String, Value>,
    created: i64,
}

fn show(name: &str, volume: &Volume) -> Value {
    json!({
        "CreatedAt": stamp(volume.created), "Driver": volume.driver, "Labels": volume.labels,
        "Mountpoint": format!("/var/lib/docker/volumes/{name}/_data"), "Name": name,
        "Options": volume.options, "Scope": "local"
    })
}

pub(super) fn list(engine: &Engine, call: &Call) -> Outcome {
    let filters = Filters::parse(call.get("filters"))?;
    let books = engine.books.lock();
    let volumes: Vec<Value> = books
        .volumes
        .iter()
        .filter(|(name, volume)| {
            filters.name(name)
                && filters.any("driver", |driver| volume.driver == *driver)
                && filters
                    .labels(|key| volume.labels.get(key).and_then(Value::as_str).map(str::to_owned))
        })
        .map(|(name, volume)| show(name, volume))
        .collect();
    Ok(reply::value(&json!({ "Volumes": volumes, "Warnings": null })))
}

/// `POST /volumes/create`: a name that exists is that volume, not a conflict.
pub(super) fn create(engine: &Engine, call: &Call) -> Outcome {
    let body = call.json()?;
    let name = body.get("Name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.map_or_else(|| Id::random().to_string(), str::to_owned);
    let now = engine.now();
    let mut books = engine.books.lock();
    let map = |key: &str| body.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    if !books.volumes.contains_key(name.as_str()) {
        let driver = body.get("Driver").and_then(Value::as_str).filter(|d| !d.is_empty());
        let volume = Volume {
            driver: driver.unwrap_or("local").to_owned(),
            labels: map("Labels"),
            options: map("DriverOpts"),
            created: now,
        };
        publish(&mut books, now, "create", &name, &volume.driver);
        books.volumes.insert(name.as_str().into(), volume);
    }
    let shown = books.volumes.get(name.as_str()).map(|volume| show(&name, volume));
    Ok(reply::json(StatusCode::CREATED, shown.unwrap_or_default().to_string()))
}

pub(super) fn inspect(engine: &Engine, call: &Call) -> Outcome {
    let books = engine.books.lock();
    let volume = books.volumes.get(call.key.as_str()).ok_or_else(|| missing(&call.key))?;
    Ok(reply::value(&show(&call.key, volume)))
}

pub(super) fn remove(engine: &Engine, call: &Call) -> Outcome {
    let now = engine.now();
    let mut books = engine.books.lock();
    let volume = books.volumes.remove(call.key.as_str()).ok_or_else(|| missing(&call.key))?;
    publish(&mut books, now, "destroy", &call.key, &volume.driver);
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn prune(engine: &Engine) -> reply::Reply {
    let now = engine.now();
    let mut books = engine.books.lock();
    let gone: Vec<String> = books.volumes.keys().map(ToString::to_string).collect();
    for (name, volume) in std::mem::take(&mut books.volumes) {
        publish(&mut books, now, "destroy", &name, &volume.driver);
    }
    reply::value(&json!({ "VolumesDeleted": gone, "SpaceReclaimed": 0 }))
}

fn missing(name: &str) -> Refusal {
    Refusal::not_found(format!("get {name}: no such volume"))
}

fn publish(books: &mut Books, now: i64, action: &str, name: &str, driver: &str) {
    let attributes = format!("\"driver\":{}", quoted(driver));
    let subject = Subject { kind: "volume", id: name, attributes: &attributes, from: None };
    books.events.publish(now, action, subject);
}
