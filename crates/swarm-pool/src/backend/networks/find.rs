//! Which network a client means: by the pool's id or name, `node/name`, an engine's id, or a name
//! that only one engine has; and who uses it.

use std::sync::Arc;

use swarm_backend::{ApiError, Result};
use swarm_docker::network::NetworkEntry;

use crate::Pool;
use crate::engine::{Container, Engine};
use crate::scope;

/// A network as clients name it: one engine's own, or the pool's with all its copies.
pub(in crate::backend) enum Found {
    /// One engine's.
    Local(Arc<Engine>, Arc<NetworkEntry>),
    /// Copies of a pool-wide one; at least one.
    Pool(Vec<(Arc<Engine>, Arc<NetworkEntry>)>),
}

impl Found {
    /// The copy on one engine.
    pub(in crate::backend) fn on(&self, engine: &Engine) -> Option<&Arc<NetworkEntry>> {
        match self {
            Self::Local(at, network) => (at.key() == engine.key()).then_some(network),
            Self::Pool(copies) => {
                copies.iter().find(|(at, _)| at.key() == engine.key()).map(|(_, network)| network)
            }
        }
    }
}

impl Pool {
    /// The network a client means.
    pub(in crate::backend) async fn network(&self, name: &str) -> Result<Found> {
        if let Some(found) = self.find_network(name)? {
            return Ok(found);
        }
        self.settle_all().await;
        let missing = || ApiError::not_found(format!("network {name} not found"));
        self.find_network(name)?.ok_or_else(missing)
    }

    /// By pool id or name, `node/name`, engine id or prefix of one, or a name that one engine has.
    fn find_network(&self, name: &str) -> Result<Option<Found>> {
        let mut all: Vec<(Arc<Engine>, Arc<NetworkEntry>)> = Vec::new();
        for engine in self.members.all().iter() {
            for entry in &*engine.view().networks {
                all.push((Arc::clone(engine), Arc::clone(entry)));
            }
        }
        let copies_of = |id: &str| {
            let copies: Vec<_> = all
                .iter()
                .filter(|(_, entry)| scope::pool_id(entry) == Some(id))
                .cloned()
                .collect();
            Found::Pool(copies)
        };
        let mut pool_match = all.iter().filter_map(|(_, entry)| {
            scope::pool_id(entry).filter(|id| *id == name || *entry.name == *name)
        });
        if let Some(id) = pool_match.next() {
            return Ok(Some(copies_of(id)));
        }
        if let Some((node, local)) = name.split_once('/') {
            let engines = self.members.named(node);
            let here = |engine: &Engine| engines.iter().any(|known| known.key() == engine.key());
            let found = all.iter().find(|(engine, entry)| {
                here(engine) && (*entry.name == *local || *entry.id == *local)
            });
            return Ok(found.map(|(engine, entry)| Found::Local(engine.clone(), entry.clone())));
        }
        let is_prefix = |id: &str| !name.is_empty() && id.starts_with(name);
        let exact: Vec<_> = all.iter().filter(|(_, entry)| *entry.id == *name).collect();
        let named: Vec<_> = all.iter().filter(|(_, entry)| *entry.name == *name).collect();
        let prefixed: Vec<_> = all
            .iter()
            .filter(|(_, entry)| {
                is_prefix(&entry.id) || scope::pool_id(entry).is_some_and(is_prefix)
            })
            .collect();
        let Some(matches) = [exact, named, prefixed].into_iter().find(|found| !found.is_empty())
        else {
            return Ok(None);
        };
        if let Some(id) = scope::pool_id(&matches[0].1)
            && matches.iter().all(|(_, entry)| scope::pool_id(entry) == Some(id))
        {
            return Ok(Some(copies_of(id)));
        }
        match &matches[..] {
            [(engine, entry)] => Ok(Some(Found::Local(engine.clone(), entry.clone()))),
            several => {
                let names: Vec<_> = several
                    .iter()
                    .take(5)
                    .map(|(engine, entry)| format!("{}/{}", engine.label(), entry.name))
                    .collect();
                Err(ApiError::conflict(format!(
                    "network {name} is ambiguous: it is on {} nodes ({}); name one as node/name",
                    several.len(),
                    names.join(", ")
                )))
            }
        }
    }

    pub(super) fn has_network(&self, name: &str) -> bool {
        let engines = self.members.all();
        engines.iter().any(|engine| {
            engine.view().networks.iter().any(|entry| {
                *entry.name == *name && (scope::pool_id(entry).is_some() || entry.is_builtin())
            })
        })
    }

    pub(super) fn pool_networks_in_use(&self) -> Vec<String> {
        let mut used: Vec<String> = Vec::new();
        for engine in self.members.all().iter() {
            let view = engine.view();
            for entry in &*view.networks {
                let Some(id) = scope::pool_id(entry) else { continue };
                let attached = |container: &&Arc<Container>| {
                    container.entry.networks().iter().any(|(_, network)| network == id)
                };
                if view.containers.iter().any(|c| attached(&c)) && !used.iter().any(|u| u == id) {
                    used.push(id.to_owned());
                }
            }
        }
        used
    }
}

/// Containers attached to one copy of a network, by name.
pub(super) fn users_of(engine: &Engine, network: &NetworkEntry) -> Vec<String> {
    let shown = scope::pool_id(network).unwrap_or(&network.id);
    let view = engine.view();
    view.containers
        .iter()
        .filter(|container| container.entry.state().state.is_up())
        .filter(|container| container.entry.networks().iter().any(|(_, id)| id == shown))
        .map(|container| container.entry.name().to_owned())
        .collect()
}
