//! The dependency filter: a container goes where the containers are that it links to
//! (`--link`), takes volumes from, or shares a network, IPC or PID namespace with.

use std::collections::HashSet;

use super::{Check, Push, Tier};
use crate::placement::containers::ContainerLookup;
use crate::placement::node::{NodeId, NodeSummary};
use crate::placement::request::{Dependency, Request};

struct HasContainer<'a> {
    dependency: &'a Dependency,
    nodes: HashSet<NodeId>,
}

impl Check for HasContainer<'_> {
    fn passes(&self, node: &NodeSummary) -> bool {
        self.nodes.contains(&node.id)
    }

    fn what(&self) -> String {
        self.dependency.to_string()
    }

    fn note(&self, _: bool) -> Option<&'static str> {
        self.nodes.is_empty().then_some("there is no such container")
    }
}

pub(super) fn rules<'a>(
    request: &'a Request,
    lookup: &dyn ContainerLookup,
    push: &mut Push<'_, 'a>,
) {
    for dependency in &request.dependencies {
        let nodes = lookup.nodes_resolving(&dependency.container);
        push(Tier::Hard, Box::new(HasContainer { dependency, nodes }));
    }
}
