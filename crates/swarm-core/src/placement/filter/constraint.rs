//! The constraint filter: engines by name or id (`node`), or by a label, their own or a standard one
//! (`storagedriver`, `executiondriver`, `kernelversion`, `operatingsystem`, `ostype`,
//! `architecture`).
//!
//! A label that is missing counts as empty, as in classic: `storage!=ssd` holds without it. `name` is
//! the engine's name unless it has a label of that key.

use super::{Check, Push, tier};
use crate::placement::expr::Expr;
use crate::placement::node::NodeSummary;
use crate::placement::request::Request;

struct Holds<'a>(&'a Expr);

impl Check for Holds<'_> {
    fn passes(&self, node: &NodeSummary) -> bool {
        match self.0.key() {
            "node" => self.0.matches([node.id.as_str(), &node.name]),
            key => self.0.matches([value(node, key)]),
        }
    }

    fn what(&self) -> String {
        self.0.to_string()
    }

    fn why(&self, node: &NodeSummary) -> Option<String> {
        let key = self.0.key();
        if matches!(key, "node" | "name") {
            return None;
        }
        Some(match node.labels.get(key) {
            Some(value) => format!("{} has {key}={value}", node.name),
            None => format!("{} has no {key}", node.name),
        })
    }
}

fn value<'n>(node: &'n NodeSummary, key: &str) -> &'n str {
    match node.labels.get(key) {
        Some(value) => value,
        None if key == "name" => &node.name,
        None => "",
    }
}

pub(super) fn rules<'a>(request: &'a Request, push: &mut Push<'_, 'a>) {
    for expr in &request.constraints {
        push(tier(expr), Box::new(Holds(expr)));
    }
}
