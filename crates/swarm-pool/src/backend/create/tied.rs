//! Where a configuration's networks and volumes tie a container to nodes: a network that only some
//! engines have, an anonymous volume, whatever is spelt `node/name`; and the wish of Compose's
//! replacement of a container to be where that one's volumes are.
//!
//! A tie is one more constraint of the request, so placement refuses it in the same words as a
//! constraint of the user's own. Nothing is tied by what is the pool's or what nobody knows.

use swarm_core::placement::expr::Expr;
use swarm_core::placement::request::Request;
use swarm_docker::container::CreateBody;

use crate::Pool;
use crate::backend::bring::names_network;
use crate::engine::EngineView;
use crate::scope;

impl Pool {
    /// Adds the constraints that follow from the names in `body`.
    pub(crate) async fn tie(&self, body: &CreateBody, request: &mut Request) {
        let mut networks = vec![body.network_mode()];
        networks.extend(body.endpoints().map(|(name, _)| name));
        networks.sort_unstable();
        networks.dedup();
        for name in networks.into_iter().filter(|name| names_network(name)) {
            let mut owners = self.network_owners(name);
            if owners.is_empty() {
                // It may have been made an instant ago.
                self.settle_all().await;
                owners = self.network_owners(name);
            }
            self.constrain(&owners, request);
        }
        let binds = body.binds().into_iter().filter_map(|bind| bind.split(':').next());
        let mounts = body.mounts().into_iter().filter(|mount| mount.kind == "volume");
        for source in binds.chain(mounts.map(|mount| mount.source)) {
            match source.split_once('/') {
                Some((node, _)) => self.constrain(&self.labels_of(node), request),
                // Drawn by one engine, so it is the name of that engine's data and no other's.
                None if is_anonymous(source) => {
                    self.constrain(&self.volume_owners(source), request);
                }
                None => {}
            }
        }
        if let Some(replaced) = self.replaced(body) {
            request.affinities.push(Expr::exactly("container", &replaced, true));
        }
    }

    /// The id of the container that Compose is about to remove in favour of this one: the one at
    /// the same place of the project. Compose v2 says that it replaces one; v1 does not.
    fn replaced(&self, body: &CreateBody) -> Option<String> {
        let is_v1 = body.label("com.docker.compose.version").is_some_and(|v| v.starts_with("1."));
        let replaces = is_v1 || body.label("com.docker.compose.replace").is_some();
        if !replaces || body.label("com.docker.compose.oneoff") != Some("False") {
            return None;
        }
        let place: Vec<(&str, &str)> = body
            .labels()
            .filter(|(key, _)| {
                ["project", "service", "container-number", "oneoff"]
                    .iter()
                    .any(|part| key.strip_prefix("com.docker.compose.") == Some(part))
            })
            .collect();
        let mut replaced = None;
        self.shared.index.for_each(|_, container| {
            let labels = container.entry.labels();
            if place.len() == 4 && place.iter().all(|(key, value)| labels.get(key) == Some(value)) {
                replaced = Some(container.id().to_owned());
            }
        });
        replaced
    }

    fn volume_owners(&self, name: &str) -> Vec<String> {
        let has = |view: &EngineView| {
            view.volumes.iter().any(|volume| *volume.name == *name && volume.is_local())
        };
        let engines = self.members.all();
        let owners = engines.iter().filter(|engine| has(&engine.view()));
        owners.map(|engine| engine.label()).collect()
    }

    /// The nodes that have a network which is theirs alone; none for one of the pool's.
    fn network_owners(&self, name: &str) -> Vec<String> {
        if let Some((node, _)) = name.split_once('/') {
            return self.labels_of(node);
        }
        let mut owners = Vec::new();
        for engine in self.members.all().iter() {
            let view = engine.view();
            let known = view.networks.iter().find(|entry| {
                *entry.name == *name
                    || *entry.id == *name
                    || scope::pool_id(entry).is_some_and(|id| id == name)
            });
            match known {
                Some(entry) if scope::pool_id(entry).is_some() || !entry.is_local() => {
                    return Vec::new();
                }
                Some(_) => owners.push(view.label().to_owned()),
                None => {}
            }
        }
        owners
    }

    fn labels_of(&self, node: &str) -> Vec<String> {
        if node.is_empty() {
            return Vec::new();
        }
        self.members.named(node).iter().map(|engine| engine.label()).collect()
    }

    fn constrain(&self, nodes: &[String], request: &mut Request) {
        let constraint = match nodes {
            [] => return,
            [node] => Ok(Expr::exactly("node", node, false)),
            several if several.len() == self.members.all().len() => return,
            several => {
                let names: Vec<_> = several.iter().map(|name| name.replace('.', "\\.")).collect();
                Expr::parse(&format!("node==/^({})$/", names.join("|")))
            }
        };
        // A node's name that no expression can carry ties nothing: the engine itself will refuse.
        if let Ok(constraint) = constraint
            && !request.constraints.contains(&constraint)
        {
            request.constraints.push(constraint);
        }
    }
}

/// Whether an engine drew the name: 64 hexadecimal digits.
fn is_anonymous(volume: &str) -> bool {
    volume.len() == 64 && volume.bytes().all(|byte| byte.is_ascii_hexdigit())
}
