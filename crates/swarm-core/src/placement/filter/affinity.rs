//! The affinity filter: engines that have (or, with `!=`, do not have) a container, an image, or
//! a container with some label.
//!
//! `container` is compared with ids and names, `image` with ids, names and repositories, any other
//! key with that label of every container, where a label that is missing counts as empty.

use std::collections::HashSet;

use super::{Check, Push, Tier, tier};
use crate::placement::containers::{ContainerFacts, ContainerLookup};
use crate::placement::expr::{Expr, Operator};
use crate::placement::node::{NodeId, NodeSummary};
use crate::placement::request::{ImageAffinity, Request};

/// Shortest text taken for the beginning of an id, as `docker ps` prints it.
const SHORT_ID: usize = 12;

/// `nodes` are those with a container that the value covers.
struct WithContainers<'a> {
    expr: &'a Expr,
    nodes: HashSet<NodeId>,
}

impl Check for WithContainers<'_> {
    fn passes(&self, node: &NodeSummary) -> bool {
        self.expr.holds(self.nodes.contains(&node.id))
    }

    fn what(&self) -> String {
        self.expr.to_string()
    }

    fn note(&self, _: bool) -> Option<&'static str> {
        let missing = self.nodes.is_empty() && self.expr.operator() == Operator::Equal;
        missing.then_some("there is no such container")
    }
}

struct WithImage<'a>(&'a Expr);

impl Check for WithImage<'_> {
    fn passes(&self, node: &NodeSummary) -> bool {
        self.0.holds(node.images.covered_by(self.0))
    }

    fn what(&self) -> String {
        self.0.to_string()
    }
}

/// The pool's own affinity to the request's image.
struct HasItsImage<'a>(&'a str);

impl Check for HasItsImage<'_> {
    fn passes(&self, node: &NodeSummary) -> bool {
        node.images.has(self.0)
    }

    fn what(&self) -> String {
        format!("image=={}", self.0)
    }
}

fn nodes_with_container(expr: &Expr, lookup: &dyn ContainerLookup) -> HashSet<NodeId> {
    let Some(value) = expr.exact() else {
        let covers = |text: &str| !text.is_empty() && expr.covers(text);
        return lookup
            .nodes_matching(&|facts: &ContainerFacts<'_>| covers(facts.id) || covers(facts.name));
    };
    let nodes = lookup.nodes_with(value);
    let id = value.len() >= SHORT_ID && value.bytes().all(|b| b.is_ascii_hexdigit());
    if nodes.is_empty() && id { lookup.nodes_resolving(value) } else { nodes }
}

pub(super) fn rules<'a>(
    request: &'a Request,
    lookup: &dyn ContainerLookup,
    push: &mut Push<'_, 'a>,
) {
    for expr in &request.affinities {
        let check: Box<dyn Check> = match expr.key() {
            "container" => {
                Box::new(WithContainers { expr, nodes: nodes_with_container(expr, lookup) })
            }
            "image" => Box::new(WithImage(expr)),
            label => {
                let nodes = lookup.nodes_matching(&|facts: &ContainerFacts<'_>| {
                    expr.covers(facts.labels.label(label).unwrap_or_default())
                });
                Box::new(WithContainers { expr, nodes })
            }
        };
        push(tier(expr), check);
    }
    match request.image_affinity {
        ImageAffinity::None => {}
        ImageAffinity::Soft => push(Tier::Image, Box::new(HasItsImage(&request.image))),
        ImageAffinity::Hard => push(Tier::Hard, Box::new(HasItsImage(&request.image))),
    }
}
