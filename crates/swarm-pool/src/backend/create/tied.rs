//! Where a configuration's networks and volumes tie a container to nodes: a network that only some
//! engines have, and whatever is spelt `node/name`.
//!
//! The tie is one more constraint of the request, so placement refuses it in the same words as a
//! constraint of the user's own. Nothing is tied by what is the pool's or what nobody knows.

use swarm_core::placement::expr::Expr;
use swarm_core::placement::request::Request;
use swarm_docker::container::CreateBody;

use crate::Pool;
use crate::backend::bring::names_network;
use crate::scope;

impl Pool {
    /// Adds the constraints that follow from the names in `body`.
    pub(in crate::backend) async fn tie(&self, body: &CreateBody, request: &mut Request) {
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
            if let Some((node, _)) = source.split_once('/') {
                self.constrain(&self.labels_of(node), request);
            }
        }
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
        if let Ok(constraint) = constraint {
            if !request.constraints.contains(&constraint) {
                request.constraints.push(constraint);
            }
        }
    }
}
