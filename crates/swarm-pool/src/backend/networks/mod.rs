//! Networks: an engine's own as `node/name`, the pool's own once.
//!
//! A network created without a node is pool-wide: every engine gets its copy, which carries the
//! pool's labels ([`crate::scope`]); an engine that comes later, or was away, gets its copy with
//! the first container that needs it ([`super::bring`]). The engines' drivers decide how far such
//! a network reaches: a bridge connects the containers of one engine.

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Map, Value, json};
use swarm_backend::{ApiError, Effect, Exchange, Networks, OfNetworks, Reply, Result, full};
use swarm_docker::network::NetworkFilter;
use swarm_docker::{Filters, network};

mod find;
mod make;

pub(super) use find::Found;
use find::users_of;
use make::has_addresses;
pub(super) use make::{create_request, label};

use super::prune::united;
use super::{Copied, deadline, document, gone, random_id, read_whole};
use crate::Pool;
use crate::engine::Mark;
use crate::fanout;
use crate::scope::{self, PoolIds};

#[async_trait]
impl Networks for Pool {
    async fn list_networks(&self, exchange: Exchange) -> Result<Reply> {
        self.networks_asked(OfNetworks::List, exchange).await
    }

    async fn inspect_network(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.networks_asked(OfNetworks::Inspect(name), exchange).await
    }

    async fn create_network(&self, exchange: Exchange) -> Result<Reply> {
        self.networks_asked(OfNetworks::Create, exchange).await
    }

    async fn connect_network(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.attach_network(name, exchange).await
    }

    async fn disconnect_network(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.attach_network(name, exchange).await
    }

    async fn remove_network(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.networks_asked(OfNetworks::Remove(name), exchange).await
    }

    async fn prune_networks(&self, exchange: Exchange) -> Result<Reply> {
        self.settle_all().await;
        // A pool-wide network is unused only when no engine's copy is used.
        let used = self.pool_networks_in_use().into_iter();
        let kept = used.map(|id| ("label!", format!("{}={id}", scope::NETWORK_ID)));
        let mut sum = united(self.prune(exchange, kept, Some(Mark::Networks)).await?);
        if let Some(Value::Array(names)) = sum.get_mut("NetworksDeleted") {
            names.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            names.dedup();
        }
        Reply::ok(&sum)
    }
}

impl Pool {
    /// The engines' networks.
    pub(crate) async fn list_own_networks(&self, exchange: Exchange) -> Result<Reply> {
        let filter = NetworkFilter::parse(Filters::from_query(&exchange.query)?)?;
        self.settle_all().await;
        let mut shown: Vec<Vec<u8>> = Vec::new();
        let mut pools: Vec<String> = Vec::new();
        for engine in self.members.all().iter() {
            let view = engine.view();
            for entry in view.networks.iter().filter(|entry| filter.matches(entry, view.label())) {
                let unused = users_of(engine, entry).is_empty();
                if filter.dangling().is_some_and(|wanted| wanted != unused) {
                    continue;
                }
                match scope::pool_id(entry) {
                    Some(id) if pools.iter().any(|known| known == id) => {}
                    Some(id) => {
                        pools.push(id.to_owned());
                        shown.push(PoolIds::of([&**entry]).shown(entry.raw().to_vec()));
                    }
                    None => {
                        let name = format!("{}/{}", view.label(), entry.name);
                        shown.push(entry.renamed(&name));
                    }
                }
            }
        }
        Ok(Reply::json(StatusCode::OK, array_of(&shown)))
    }

    /// One of them.
    pub(crate) async fn inspect_own_network(
        &self,
        name: &str,
        exchange: Exchange,
    ) -> Result<Reply> {
        let request = Copied::read(exchange).await?;
        match self.network(name).await? {
            Found::Local(engine, entry) => {
                let reply = request.send(&engine, &entry.id, Effect::Reads).await?;
                let body = document(reply).await?;
                let shown = format!("{}/{}", engine.label(), entry.name);
                Ok(Reply::json(StatusCode::OK, network::rename(&body, &shown)))
            }
            Found::Pool(copies) => {
                let engines: Vec<_> = copies
                    .iter()
                    .filter(|(engine, _)| engine.is_reachable())
                    .map(|(engine, _)| Arc::clone(engine))
                    .collect();
                let answers = fanout::ask(&engines, async |engine| {
                    let entry = copies.iter().find(|(at, _)| at.key() == engine.key());
                    let (_, entry) = entry.ok_or_else(|| engine.unusable())?;
                    let reply = request.send(&engine, &entry.id, Effect::Reads).await?;
                    let body = PoolIds::of([&**entry]).shown_bytes(document(reply).await?);
                    serde_json::from_slice::<Value>(&body)
                        .map_err(|error| ApiError::system(error.to_string()))
                })
                .await;
                let copies = fanout::any_of(answers)?.into_iter().map(|(_, copy)| copy);
                Reply::ok(&one_network(copies))
            }
        }
    }

    /// Makes one, on all engines or on the one that its name names.
    pub(crate) async fn create_own_network(&self, exchange: Exchange) -> Result<Reply> {
        let version = exchange.version;
        let body = read_whole(exchange.body).await?;
        let mut body: Map<String, Value> = serde_json::from_slice(&body)
            .map_err(|error| ApiError::invalid(format!("the network's configuration: {error}")))?;
        let name = body.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(ApiError::invalid("network name cannot be empty"));
        }
        if let Some((node, local)) = name.split_once('/') {
            let [engine] = &self.node(node)?[..] else {
                return Err(ApiError::conflict(format!("more than one node is called {node}")));
            };
            body.insert("Name".to_owned(), local.into());
            let reply =
                engine.send(create_request(&body, version)?, deadline(Effect::Changes)).await?;
            engine.wrote(Mark::Networks);
            return Ok(reply);
        }
        // Docker's words (409); the pool refuses what a single engine merely dislikes, because two
        // networks of one name could not be told apart by containers.
        let taken = || ApiError::conflict(format!("network with name {name} already exists"));
        // Two creates at once would each find the other's copies, and both fail.
        let _held = self.shared.networks.hold(&name).ok_or_else(taken)?;
        self.settle_all().await;
        if self.has_network(&name) {
            return Err(taken());
        }
        let id = random_id();
        let fixed = has_addresses(&body);
        label(&mut body, scope::SCOPE, scope::POOL);
        label(&mut body, scope::NETWORK_ID, &id);
        if fixed {
            label(&mut body, scope::FIXED_ADDRESSES, "fixed");
        }
        let warning = self.create_everywhere(&body, version).await?;
        let answer = json!({"Id": id, "Warning": warning});
        Reply::encode(StatusCode::CREATED, &answer)
    }

    /// Removes one.
    pub(crate) async fn remove_own_network(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let request = Copied::read(exchange).await?;
        // Its last user may have been removed an instant ago.
        self.settle_all().await;
        let copies = match self.network(name).await? {
            Found::Local(engine, entry) => vec![(engine, entry)],
            Found::Pool(copies) => copies,
        };
        // All or nothing: one copy in use keeps them all.
        for (engine, entry) in &copies {
            let users = users_of(engine, entry);
            if !users.is_empty() {
                return Err(ApiError::forbidden(format!(
                    "error while removing network: network {name} has active endpoints on node \
                     {}: {}",
                    engine.label(),
                    users.join(", ")
                )));
            }
        }
        let engines: Vec<_> = copies.iter().map(|(engine, _)| Arc::clone(engine)).collect();
        let answers = fanout::ask(&engines, async |engine| {
            let entry = copies.iter().find(|(at, _)| at.key() == engine.key());
            let (_, entry) = entry.ok_or_else(|| engine.unusable())?;
            let reply = request.send(&engine, &entry.id, Effect::Changes).await?;
            engine.wrote(Mark::Networks);
            gone(reply).await
        })
        .await;
        fanout::all_of(answers)?;
        Ok(Reply::no_content())
    }

    /// Connect and disconnect: on the engine of the container in the body.
    async fn attach_network(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let mut exchange = exchange;
        let body =
            read_whole(std::mem::replace(&mut exchange.body, swarm_backend::empty())).await?;
        let mut body: Map<String, Value> = serde_json::from_slice(&body)
            .map_err(|error| ApiError::invalid(format!("the request's body: {error}")))?;
        let container =
            body.get("Container").and_then(Value::as_str).unwrap_or_default().to_owned();
        let (engine, located) = self.container(&container).await?;
        let id = self.network_on(&engine, name).await?;
        body.insert("Container".to_owned(), (&*located.id).into());
        let wanted = body.get("EndpointConfig").cloned();
        exchange.body = full(Value::Object(body).to_string());
        let connects = exchange.path.after == "/connect";
        let reply = engine.forward(exchange, &id, deadline(Effect::Changes)).await?;
        engine.wrote(Mark::Container(located.id.to_string()));
        if reply.status.is_success() {
            let endpoint = if connects { wanted.unwrap_or_else(|| json!({})) } else { Value::Null };
            let name = name.to_owned();
            self.asked(&located, |intent| drop(intent.networks.insert(name, endpoint))).await?;
        }
        Ok(reply)
    }
}

/// Ready JSON documents as one array.
fn array_of(documents: &[Vec<u8>]) -> Vec<u8> {
    let mut array = vec![b'['];
    for (place, document) in documents.iter().enumerate() {
        if place > 0 {
            array.push(b',');
        }
        array.extend_from_slice(document);
    }
    array.push(b']');
    array
}
/// The copies of a pool-wide network as one, with the containers of all.
fn one_network(copies: impl Iterator<Item = Value>) -> Value {
    let mut one = Value::Null;
    for copy in copies {
        if one.is_null() {
            one = copy;
            continue;
        }
        let more = copy.get("Containers").and_then(Value::as_object).cloned().unwrap_or_default();
        if let Some(known) = one.get_mut("Containers") {
            match known {
                Value::Object(known) => known.extend(more),
                other => *other = Value::Object(more),
            }
        }
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_a_network_show_all_their_containers() {
        let copies = [
            json!({"Name": "web", "Containers": {"a": {}}}),
            json!({"Name": "web", "Containers": {"b": {}, "c": {}}}),
            json!({"Name": "web", "Containers": null}),
        ];
        let one = one_network(copies.into_iter());
        assert_eq!(one["Containers"], json!({"a": {}, "b": {}, "c": {}}));
    }
}
