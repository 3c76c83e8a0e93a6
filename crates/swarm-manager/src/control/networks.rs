//! The swarm's part of `/networks` (API v1.21). There are no cluster networks yet; the default
//! network of a stack, which `docker stack deploy` makes for one that names none, is a name that
//! stands for the engine's bridge ([`super::attach`]). Everything else that asks for a cluster
//! network is refused, and all that is one engine's goes to the engine.

use std::sync::Arc;

use http::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use swarm_backend::{Exchange, Local, Reply, Result, full};
use swarm_docker::{ApiError, Filters};
use swarm_model::{Network, NetworkSpec, Service, Time};

use super::answer::{body, list, read};
use super::attach::{ENGINES_OWN, users};
use super::lookup::find;
use super::refuse::not_yet;
use super::write::{guard, unless_guarded};
use super::{Control, failed, new_id, now};
use crate::replica::{Object as _, Tables};

impl Control {
    /// `GET /networks`: the engine's and the swarm's.
    pub async fn list_networks(&self, exchange: Exchange, engine: &dyn Local) -> Result<Reply> {
        let filters = Filters::from_query(&exchange.query)?;
        let ours: Vec<Value> = self
            .look(|tables| {
                let networks = tables.networks.values();
                let ours = networks.filter(|network| matches(network, &filters, tables));
                ours.map(|network| show(network)).collect()
            })
            .await;
        let answer = engine.pass(exchange).await?;
        if ours.is_empty() || answer.status != StatusCode::OK {
            return Ok(answer);
        }
        let theirs = read(answer.body).await?;
        let theirs: Vec<Box<RawValue>> = serde_json::from_slice(&theirs).map_err(|error| {
            ApiError::system(format!("the engine's list of networks cannot be read: {error}"))
        })?;
        let ours = ours.iter().map(serde_json::value::to_raw_value);
        let ours: std::result::Result<Vec<_>, _> = ours.collect();
        let ours = ours.map_err(|error| ApiError::system(error.to_string()))?;
        let all: Vec<_> = theirs.into_iter().chain(ours).map(Arc::<RawValue>::from).collect();
        Ok(list(all, Arc::clone))
    }

    /// `GET /networks/{name}`.
    pub async fn inspect_network(
        &self,
        name: &str,
        exchange: Exchange,
        engine: &dyn Local,
    ) -> Result<Reply> {
        let scope = exchange.query.get("scope").unwrap_or_default();
        if scope == "local" {
            return engine.pass(exchange.naming(name)).await;
        }
        let found = self.look(|tables| find::<Network>(tables, name).cloned()).await;
        if scope == "swarm" {
            // A client asks so for a service's networks. The engines' own have one name on all
            // nodes, and another id on each.
            if ENGINES_OWN.contains(&name) {
                let labels = json!({ "com.docker.swarm.predefined": "true" });
                return Reply::ok(&shown(name, name, Time::NEVER, name, &labels));
            }
            return Reply::ok(&show(&*found?));
        }
        let exact = found.as_ref().is_ok_and(|found| *found.id == *name || found.spec.name == name);
        if exact && let Ok(found) = &found {
            return Reply::ok(&show(found));
        }
        let answer = engine.pass(exchange.naming(name)).await?;
        match found {
            Ok(found) if answer.status == StatusCode::NOT_FOUND => Reply::ok(&show(&found)),
            _ => Ok(answer),
        }
    }

    /// `POST /networks/create`.
    pub async fn create_network(
        &self,
        mut exchange: Exchange,
        engine: &dyn Local,
    ) -> Result<Reply> {
        let body = body(&mut exchange).await?;
        let spec = serde_json::from_slice::<NetworkSpec>(&body);
        // What is no network of the swarm is the engine's to judge.
        let Ok(spec) =
            spec.map_err(drop).and_then(|spec| spec.is_of_the_swarm().then_some(spec).ok_or(()))
        else {
            exchange.body = full(body);
            return engine.pass(exchange).await;
        };
        check(&spec)?;
        let id = self
            .write(|tables, batch| {
                if tables.networks.values().any(|network| network.spec.name == spec.name) {
                    let name = &spec.name;
                    return Err(ApiError::conflict(format!(
                        "network with name {name} already exists"
                    )));
                }
                let (id, now, spec) = (new_id(), now(tables), spec.clone());
                let network =
                    Network { id, created_at: now, updated_at: now, spec, ..Network::default() };
                guard(tables, batch, Network::TABLE)?;
                batch.put(&network).map_err(failed)?;
                Ok(network.id)
            })
            .await?;
        Reply::encode(StatusCode::CREATED, &json!({ "Id": id, "Warning": "" }))
    }

    /// `DELETE /networks/{name}`.
    pub async fn remove_network(
        &self,
        name: &str,
        exchange: Exchange,
        engine: &dyn Local,
    ) -> Result<Reply> {
        let is_ours = self.look(|tables| find::<Network>(tables, name).is_ok()).await;
        if !is_ours {
            return engine.pass(exchange.naming(name)).await;
        }
        self.write(|tables, batch| {
            let network = find::<Network>(tables, name)?;
            if let Some(user) = users(tables, &network.id).first() {
                let name = &network.spec.name;
                return Err(ApiError::invalid(format!(
                    "network {name} is in use by service {user}"
                )));
            }
            unless_guarded(tables, batch, Service::TABLE);
            batch.delete(&**network);
            Ok(())
        })
        .await?;
        Ok(Reply::no_content())
    }
}

/// Only a stack's default network is taken, and only as the client makes it when nobody asks for
/// more.
fn check(spec: &NetworkSpec) -> Result<()> {
    let name = &spec.name;
    if !spec.is_default_of_a_stack() {
        return not_yet(&format!(
            "network {name}: cluster networks (overlay) are not there yet. Services run on their nodes' own \
             networks: leave networks out of the stack, or use bridge, host or none"
        ));
    }
    for field in ["Internal", "Attachable", "Ingress", "ConfigOnly", "EnableIPv6"] {
        if spec.rest.get(field) == Some(&Value::Bool(true)) {
            return not_yet(&format!(
                "network {name}: {field} needs a cluster network (overlay), which is not there yet"
            ));
        }
    }
    let is_given = |value: &Value| match value {
        Value::Null => false,
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    };
    for field in ["IPAM", "Options", "ConfigFrom"] {
        if spec.rest.get(field).is_some_and(is_given) {
            return not_yet(&format!(
                "network {name}: {field} needs a cluster network (overlay), which is not there yet"
            ));
        }
    }
    Ok(())
}

/// The engine's filters (`daemon/network/filter.go`); those that it does not know it refuses
/// itself.
fn matches(network: &Network, filters: &Filters, tables: &Tables) -> bool {
    let spec = &network.spec;
    let dangling = filters.flag("dangling");
    filters.matcher("name").matches(&spec.name)
        && filters.matcher("id").matches(&network.id)
        && filters.exact("driver", "overlay")
        && filters.exact("scope", "swarm")
        && filters.exact("type", "custom")
        && filters.matches_kv("label", |key| spec.labels.get(key).map(String::as_str))
        && match dangling {
            Ok(Some(wanted)) => users(tables, &network.id).is_empty() == wanted,
            _ => true,
        }
}

fn show(network: &Network) -> Value {
    let Network { id, created_at, spec, .. } = network;
    shown(id, &spec.name, *created_at, "overlay", &json!(spec.labels))
}

fn shown(id: &str, name: &str, created: Time, driver: &str, labels: &Value) -> Value {
    json!({
        "Name": name, "Id": id, "Created": created, "Scope": "swarm", "Driver": driver,
        "EnableIPv4": true, "EnableIPv6": false,
        "IPAM": { "Driver": "default", "Options": null, "Config": [] },
        "Internal": false, "Attachable": false, "Ingress": false,
        "ConfigFrom": { "Network": "" }, "ConfigOnly": false,
        "Containers": {}, "Options": {}, "Labels": labels,
    })
}
