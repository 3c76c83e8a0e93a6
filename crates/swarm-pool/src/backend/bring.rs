//! Before a container is created on an engine: what its configuration names is spelt as that
//! engine knows it, and pool-wide networks and volumes that the engine lacks are made there.

use std::sync::Arc;

use serde_json::{Map, Value};
use swarm_backend::{ApiError, Effect, Result, full};
use swarm_docker::container::CreateBody;
use swarm_docker::network::NetworkEntry;
use swarm_docker::volume::VolumeEntry;

use super::networks::create_request;
use super::{deadline, json};
use crate::Pool;
use crate::engine::{Engine, Mark, post_json};
use crate::scope;

/// Network modes that name no network.
const MODES: [&str; 4] = ["default", "host", "none", "bridge"];

/// Does a network mode, or an endpoint's key, name a network that is not everywhere by itself?
pub(super) fn names_network(mode: &str) -> bool {
    !mode.is_empty() && !MODES.contains(&mode) && !mode.starts_with("container:")
}

impl Pool {
    /// Takes the node out of `node/name` wherever the configuration names a container.
    pub(super) fn name_for_engine(&self, body: &mut CreateBody, engine: &Engine) {
        let own = |name: &str| self.own_name(engine, name);
        let links = body.links().into_iter().map(|link| own_before(link, ':', &own)).collect();
        set_if_any(links, |links| body.set_links(links));
        let volumes: Vec<String> =
            body.volumes_from().into_iter().map(|from| own_before(from, ':', &own)).collect();
        set_if_any(volumes, |volumes| body.set_volumes_from(volumes));
        let mode = |mode: &str| {
            let container = mode.strip_prefix("container:")?;
            Some(format!("container:{}", own(container)))
        };
        if let Some(mode) = mode(body.network_mode()) {
            body.set_network_mode(&mode);
        }
        if let Some(mode) = mode(body.ipc_mode()) {
            body.set_ipc_mode(&mode);
        }
        if let Some(mode) = mode(body.pid_mode()) {
            body.set_pid_mode(&mode);
        }
    }

    /// A container's name without its node, where it has one.
    fn own_name(&self, engine: &Engine, name: &str) -> String {
        match name.trim_start_matches('/').split_once('/') {
            Some((node, local)) if self.is_named(engine, node) => local.to_owned(),
            _ => name.to_owned(),
        }
    }

    fn is_named(&self, engine: &Engine, node: &str) -> bool {
        self.members.named(node).iter().any(|known| known.key() == engine.key())
    }

    /// Names the networks as the engine knows them, after making those it lacks.
    pub(super) async fn bring_networks(
        &self,
        engine: &Arc<Engine>,
        body: &mut CreateBody,
    ) -> Result<()> {
        let mode = body.network_mode().to_owned();
        let named = Some(mode.as_str()).filter(|mode| names_network(mode));
        let mut wanted: Vec<String> = named.into_iter().map(str::to_owned).collect();
        wanted.extend(body.endpoints().map(|(name, _)| name.to_owned()));
        wanted.retain(|name| names_network(name));
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut own: Vec<(String, String)> = Vec::new();
        for name in wanted {
            // What nobody in the pool knows is left to the engine, which says so in its own words.
            if let Some(local) = self.network_named_on(engine, &name).await? {
                own.push((name, local));
            }
        }
        body.rename_networks(|name| {
            own.iter().find(|(asked, _)| asked == name).map(|(_, local)| local.clone())
        });
        // A client may have learnt a network's id from the pool; on this engine it has another.
        body.forget_network_ids();
        Ok(())
    }

    /// The id, on `engine`, of the network a client means; made there if it is the pool's.
    pub(crate) async fn network_on(&self, engine: &Arc<Engine>, name: &str) -> Result<String> {
        let found = match self.network(name).await {
            Ok(found) => found,
            // `bridge` is on every engine; the one that is meant is the container's.
            Err(error) if error.status() == http::StatusCode::CONFLICT => {
                let view = engine.view();
                let own = view.networks.iter().find(|entry| *entry.name == *name);
                return own.map(|entry| entry.id.to_string()).ok_or(error);
            }
            Err(error) => return Err(error),
        };
        if let Some(entry) = found.on(engine) {
            return Ok(entry.id.to_string());
        }
        match found {
            super::networks::Found::Local(at, entry) => Err(ApiError::conflict(format!(
                "network {}/{} is on another node than the container, which is on {}",
                at.label(),
                entry.name,
                engine.label()
            ))),
            super::networks::Found::Pool(copies) => self.copy_network(engine, &copies[0].1).await,
        }
    }

    async fn network_named_on(&self, engine: &Arc<Engine>, name: &str) -> Result<Option<String>> {
        let view = engine.view();
        if view.networks.iter().any(|entry| *entry.name == *name) {
            return Ok(Some(name.to_owned()));
        }
        match self.network(name).await {
            Ok(found) => {
                if let Some(entry) = found.on(engine) {
                    return Ok(Some(entry.name.to_string()));
                }
                match found {
                    super::networks::Found::Pool(copies) => {
                        self.copy_network(engine, &copies[0].1).await?;
                        Ok(Some(copies[0].1.name.to_string()))
                    }
                    super::networks::Found::Local(at, entry) => Err(ApiError::conflict(format!(
                        "network {} is on node {}, and the container was placed on {}; constrain \
                         it with -e constraint:node=={}",
                        entry.name,
                        at.label(),
                        engine.label(),
                        at.label()
                    ))),
                }
            }
            Err(error) if error.status() == http::StatusCode::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the engine's copy of a pool-wide network after another engine's.
    async fn copy_network(&self, engine: &Arc<Engine>, pattern: &NetworkEntry) -> Result<String> {
        let body = network_config(pattern)?;
        tracing::info!(network = %pattern.name, engine = %engine.label(), "making its copy");
        let reply = engine.send(create_request(&body, None)?, deadline(Effect::Changes)).await?;
        let answer = json(reply).await;
        let number = engine.wrote(Mark::Networks);
        let answer = match answer {
            // Two creates at once brought it; whoever came second uses what is there.
            Err(error) if error.message.contains("already exists") => {
                engine.settle_upto(number).await;
                let id = scope::pool_id(pattern);
                let view = engine.view();
                let copy = view.networks.iter().find(|entry| scope::pool_id(entry) == id);
                return copy.map(|entry| entry.id.to_string()).ok_or(error);
            }
            answer => answer?,
        };
        let id = answer.get("Id").and_then(Value::as_str).unwrap_or_default();
        Ok(id.to_owned())
    }

    /// Makes the engine's copies of pool-wide volumes that the container mounts, so that the engine
    /// does not make plain ones in their place.
    pub(super) async fn bring_volumes(
        &self,
        engine: &Arc<Engine>,
        body: &mut CreateBody,
    ) -> Result<()> {
        let own = |name: &str| match name.split_once('/') {
            Some((node, local)) if self.is_named(engine, node) => Some(local.to_owned()),
            _ => None,
        };
        body.rename_volumes(own);
        let binds =
            body.binds().into_iter().filter_map(|bind| bind.split_once(':').map(|(s, _)| s));
        let mounts = body
            .mounts()
            .into_iter()
            .filter(|mount| mount.kind == "volume")
            .map(|mount| mount.source);
        let wanted: Vec<String> = binds
            .chain(mounts)
            .filter(|name| !name.is_empty() && !name.starts_with('/'))
            .map(str::to_owned)
            .collect();
        for name in wanted {
            let view = engine.view();
            if view.volumes.iter().any(|volume| *volume.name == *name) {
                continue;
            }
            if let Some(pattern) = self.pool_volume(&name) {
                let body = full(volume_config(&pattern)?);
                let request = post_json("/volumes/create".to_owned(), None, body);
                json(engine.send(request, deadline(Effect::Changes)).await?).await?;
                engine.wrote(Mark::Volumes);
            }
        }
        Ok(())
    }

    fn pool_volume(&self, name: &str) -> Option<Arc<VolumeEntry>> {
        let engines = self.members.all();
        engines.iter().find_map(|engine| {
            let view = engine.view();
            let found = view.volumes.iter().find(|volume| {
                *volume.name == *name && volume.labels.get(scope::SCOPE) == Some(scope::POOL)
            });
            found.cloned()
        })
    }
}

/// The text with the part before `separator` spelt by `own`.
fn own_before(text: &str, separator: char, own: &impl Fn(&str) -> String) -> String {
    match text.split_once(separator) {
        Some((name, rest)) => format!("{}{separator}{rest}", own(name)),
        None => own(text),
    }
}

fn set_if_any(values: Vec<String>, set: impl FnOnce(Vec<String>)) {
    if !values.is_empty() {
        set(values);
    }
}

/// The body of `POST /networks/create` that makes another copy of a network.
fn network_config(pattern: &NetworkEntry) -> Result<Map<String, Value>> {
    const KEPT: [&str; 12] = [
        "Name",
        "Driver",
        "Scope",
        "EnableIPv4",
        "EnableIPv6",
        "Internal",
        "Attachable",
        "Ingress",
        "ConfigOnly",
        "ConfigFrom",
        "Options",
        "Labels",
    ];
    let raw: Map<String, Value> = serde_json::from_slice(pattern.raw())
        .map_err(|error| ApiError::system(error.to_string()))?;
    let mut body = Map::new();
    for (key, value) in raw {
        if KEPT.contains(&key.as_str()) || key == "IPAM" {
            body.insert(key, value);
        }
    }
    // Addresses that an engine chose for itself are no wish for another engine.
    if pattern.labels.get(scope::FIXED_ADDRESSES).is_none()
        && let Some(ipam) = body.get_mut("IPAM").and_then(Value::as_object_mut)
    {
        ipam.remove("Config");
    }
    Ok(body)
}

/// The body of `POST /volumes/create` that makes another copy of a volume.
fn volume_config(pattern: &VolumeEntry) -> Result<String> {
    let raw: Map<String, Value> = serde_json::from_slice(pattern.raw())
        .map_err(|error| ApiError::system(error.to_string()))?;
    let field = |key: &str| raw.get(key).cloned().unwrap_or(Value::Null);
    let body = serde_json::json!({
        "Name": field("Name"),
        "Driver": field("Driver"),
        "DriverOpts": field("Options"),
        "Labels": field("Labels"),
    });
    Ok(body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_was_asked_for_and_not_what_an_engine_chose() {
        let raw = br#"{"Name":"web","Id":"x","Created":"now","Scope":"local","Driver":"bridge",
            "IPAM":{"Driver":"default","Config":[{"Subnet":"172.18.0.0/16"}]},"Internal":true,
            "Options":{"a":"b"},"Labels":{"com.docker.swarm.scope":"pool"},"Containers":{}}"#;
        let body = network_config(&NetworkEntry::parse(raw).unwrap()).unwrap();
        assert_eq!(body["Internal"], true);
        assert_eq!(body["IPAM"], serde_json::json!({"Driver": "default"}));
        assert!(!body.contains_key("Id") && !body.contains_key("Containers"));
    }

    #[test]
    fn a_link_loses_only_its_node() {
        let own = |name: &str| name.trim_start_matches("node-1/").to_owned();
        assert_eq!(own_before("node-1/db:database", ':', &own), "db:database");
        assert_eq!(own_before("db", ':', &own), "db");
    }
}
