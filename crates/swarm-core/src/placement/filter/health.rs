//! The health filter: only engines that answer.

use super::Check;
use crate::placement::node::{Health, NodeSummary};

/// Passes healthy engines.
pub(super) struct Healthy;

impl Check for Healthy {
    fn passes(&self, node: &NodeSummary) -> bool {
        node.health.is_healthy()
    }

    fn why(&self, node: &NodeSummary) -> Option<String> {
        match &node.health {
            Health::Healthy { .. } => None,
            Health::Unhealthy { state, error } if error.is_empty() => {
                Some(format!("{} is {state}", node.name))
            }
            Health::Unhealthy { state, error } => {
                Some(format!("{} is {state}: {error}", node.name))
            }
        }
    }

    fn note(&self, last: bool) -> Option<&'static str> {
        last.then_some("No healthy node available in the cluster")
    }
}
