//! The whitelist filter: `whitelist:node==node-1|node-2` lists the engines that may take the
//! container, by name. Every key means the engine's name, as in classic; unlike there, `!=` means what
//! it says, and a name may be a glob or the whole list a regular expression.

use super::{Check, Push, tier};
use crate::placement::expr::Expr;
use crate::placement::node::NodeSummary;
use crate::placement::request::Request;

struct Listed<'a> {
    expr: &'a Expr,
    /// The names between the bars; empty when the expression is one pattern.
    names: Vec<Expr>,
}

impl Check for Listed<'_> {
    fn passes(&self, node: &NodeSummary) -> bool {
        let listed = if self.names.is_empty() {
            self.expr.covers(&node.name)
        } else {
            self.names.iter().any(|name| name.covers(&node.name))
        };
        self.expr.holds(listed)
    }

    fn what(&self) -> String {
        self.expr.to_string()
    }
}

pub(super) fn rules<'a>(request: &'a Request, push: &mut Push<'_, 'a>) {
    for expr in &request.whitelists {
        let value = expr.value();
        let names = if value.starts_with('/') {
            Vec::new()
        } else {
            let name = |name| Expr::parse(&format!("node=={name}")).ok();
            value.split('|').filter_map(name).collect()
        };
        push(tier(expr), Box::new(Listed { expr, names }));
    }
}
