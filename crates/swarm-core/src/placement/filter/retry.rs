//! Engines that already failed this very request are not asked again (`swarm.createretry`). In force
//! whatever filters are chosen.

use super::Check;
use crate::placement::node::{NodeId, NodeSummary};

/// Passes engines that have not been tried.
pub(super) struct NotTried<'a>(pub &'a [NodeId]);

impl Check for NotTried<'_> {
    fn passes(&self, node: &NodeSummary) -> bool {
        !self.0.contains(&node.id)
    }

    fn why(&self, node: &NodeSummary) -> Option<String> {
        Some(format!("{} already failed this request", node.name))
    }
}
