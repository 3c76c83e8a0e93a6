//! Volumes: always shown as `node/name` where they are local to an engine.
//!
//! One created without a node is made on every engine with the same driver and options, so that a
//! container finds it wherever it lands; its data is each engine's own, as the driver has it.

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Map, Value, json};
use swarm_backend::{
    ApiError, Effect, Exchange, InSwarm as _, Reply, Result, Volumes, full, no_cluster_volumes,
    refuse_cluster_volume,
};
use swarm_docker::volume::{VolumeEntry, VolumeFilter};
use swarm_docker::{ErrorClass, Filters};

use super::networks::label;
use super::prune::united;
use super::{Copied, deadline, document, gone, json, random_id, read_whole};
use crate::Pool;
use crate::engine::{Engine, Mark, post_json};
use crate::fanout;
use crate::scope;

type Copy = (Arc<Engine>, Arc<VolumeEntry>);

#[async_trait]
impl Volumes for Pool {
    async fn list_volumes(&self, exchange: Exchange) -> Result<Reply> {
        let filter = VolumeFilter::parse(Filters::from_query(&exchange.query)?)?;
        self.settle_all().await;
        let mut volumes: Vec<Value> = Vec::new();
        for engine in self.members.all().iter() {
            let view = engine.view();
            for volume in view.volumes.iter().filter(|volume| filter.matches(volume, view.label()))
            {
                if let Some(wanted) = filter.dangling() {
                    let used = view.containers.iter().any(|container| {
                        container.entry.mounts().iter().any(|(name, _)| *name == *volume.name)
                    });
                    if wanted == used {
                        continue;
                    }
                }
                let shown = if volume.is_local() {
                    volume.renamed(&format!("{}/{}", view.label(), volume.name))
                } else {
                    volume.raw().to_vec()
                };
                let value: Value = serde_json::from_slice(&shown)
                    .map_err(|error| ApiError::system(error.to_string()))?;
                // A volume that all engines share is one volume.
                if volume.is_local() || !volumes.iter().any(|known| known["Name"] == value["Name"])
                {
                    volumes.push(value);
                }
            }
        }
        Reply::ok(&json!({"Volumes": volumes, "Warnings": null}))
    }

    async fn inspect_volume(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let copies = self.volumes(name).await?;
        let reachable = copies.iter().find(|(engine, _)| engine.is_reachable());
        let (engine, volume) = reachable.unwrap_or(&copies[0]);
        let reply = engine.forward(exchange, &volume.name, deadline(Effect::Reads)).await?;
        let body = document(reply).await?;
        let mut value: Value =
            serde_json::from_slice(&body).map_err(|error| ApiError::system(error.to_string()))?;
        // The name the client asked by is the one it knows the volume by.
        value["Name"] = name.into();
        Reply::ok(&value)
    }

    async fn create_volume(&self, exchange: Exchange) -> Result<Reply> {
        let version = exchange.version;
        let body = read_whole(exchange.body).await?;
        if self.swarm().is_some() {
            refuse_cluster_volume(&body)?;
        }
        let mut body: Map<String, Value> = if body.trim_ascii().is_empty() {
            Map::new()
        } else {
            serde_json::from_slice(&body).map_err(|error| {
                ApiError::invalid(format!("the volume's configuration: {error}"))
            })?
        };
        let name = body.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let (asked, local_to_node) = (name.clone(), name.contains('/'));
        let (engines, name) = if let Some((node, local)) = name.split_once('/') {
            (self.node(node)?, local.to_owned())
        } else {
            label(&mut body, scope::SCOPE, scope::POOL);
            // Nameless volumes get one name for all engines; an engine would draw its own.
            let name = if name.is_empty() { random_id() } else { name };
            (self.members.reachable(), name)
        };
        body.insert("Name".to_owned(), name.into());
        let bytes = Value::Object(body).to_string();
        let answers = fanout::ask(&engines, async |engine| {
            let request = post_json("/volumes/create".to_owned(), version, full(bytes.clone()));
            let reply = engine.send(request, deadline(Effect::Changes)).await?;
            let answer = json(reply).await?;
            engine.wrote(Mark::Volumes);
            Ok(answer)
        })
        .await;
        // An engine's own refusal is the user's to know; one that vanished is brought the volume
        // when it is back and a container there needs it.
        for answer in &answers {
            if let Err(error) = &answer.result
                && matches!(error.class, ErrorClass::Engine(_))
            {
                let node = answer.engine.label();
                let message = format!("node {node}: {}", error.message);
                return Err(ApiError { class: error.class, message });
            }
        }
        let mut made = fanout::any_of(answers)?.into_iter();
        let mut first = made.next().map(|(_, volume)| volume).unwrap_or_default();
        if local_to_node && first["Scope"] == "local" {
            // The name that finds it again: clients print it and mount by it.
            first["Name"] = asked.into();
        }
        Reply::encode(StatusCode::CREATED, &first)
    }

    async fn update_volume(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        if self.swarm().is_some() {
            return Err(no_cluster_volumes(name));
        }
        let copies = self.volumes(name).await?;
        let [(engine, volume)] = &copies[..] else { return Err(ambiguous(name, &copies)) };
        engine.forward(exchange, &volume.name, deadline(Effect::Changes)).await
    }

    async fn remove_volume(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let request = Copied::read(exchange).await?;
        // Its last user may have been removed an instant ago.
        self.settle_all().await;
        let copies = match self.volumes(name).await {
            // `rm -f` of nothing is no error in Docker.
            Err(error) if request.query.flag("force") && error.class == ErrorClass::NotFound => {
                return Ok(Reply::no_content());
            }
            copies => copies?,
        };
        for (engine, volume) in &copies {
            let users = users_of(engine, &volume.name);
            if !users.is_empty() {
                return Err(ApiError::conflict(format!(
                    "remove {name}: volume is in use on node {} - [{}]",
                    engine.label(),
                    users.join(", ")
                )));
            }
        }
        let engines: Vec<_> = copies.iter().map(|(engine, _)| Arc::clone(engine)).collect();
        let local = copies[0].1.name.clone();
        let answers = fanout::ask(&engines, async |engine| {
            let reply = request.send(&engine, &local, Effect::Changes).await?;
            engine.wrote(Mark::Volumes);
            gone(reply).await
        })
        .await;
        fanout::all_of(answers)?;
        Ok(Reply::no_content())
    }

    async fn prune_volumes(&self, exchange: Exchange) -> Result<Reply> {
        let mut answers = self.prune(exchange, [], Some(Mark::Volumes)).await?;
        for (engine, answer) in &mut answers {
            for name in
                answer.get_mut("VolumesDeleted").and_then(Value::as_array_mut).into_iter().flatten()
            {
                *name = format!("{}/{}", engine.label(), name.as_str().unwrap_or_default()).into();
            }
        }
        Reply::ok(&united(answers))
    }
}

impl Pool {
    /// The copies of the volume a client means; at least one.
    async fn volumes(&self, name: &str) -> Result<Vec<Copy>> {
        let mut found = self.find_volumes(name);
        if found.is_empty() {
            self.settle_all().await;
            found = self.find_volumes(name);
        }
        if found.is_empty() {
            return Err(ApiError::not_found(format!("get {name}: no such volume")));
        }
        Ok(found)
    }

    fn find_volumes(&self, name: &str) -> Vec<Copy> {
        let (engines, local) = match name.split_once('/') {
            Some((node, local)) => (Arc::new(self.members.named(node)), local),
            None => (self.members.all(), name),
        };
        let mut found = Vec::new();
        for engine in engines.iter() {
            let view = engine.view();
            let volume = view.volumes.iter().find(|volume| *volume.name == *local);
            found.extend(volume.map(|volume| (Arc::clone(engine), Arc::clone(volume))));
        }
        found
    }
}

fn users_of(engine: &Engine, volume: &str) -> Vec<String> {
    let view = engine.view();
    view.containers
        .iter()
        .filter(|container| container.entry.mounts().iter().any(|(name, _)| name == volume))
        .map(|container| container.entry.name().to_owned())
        .collect()
}

fn ambiguous(name: &str, copies: &[Copy]) -> ApiError {
    let nodes: Vec<_> =
        copies.iter().map(|(engine, _)| format!("{}/{name}", engine.label())).collect();
    ApiError::conflict(format!(
        "volume {name} is on {} nodes; name one of {}",
        copies.len(),
        nodes.join(", ")
    ))
}
