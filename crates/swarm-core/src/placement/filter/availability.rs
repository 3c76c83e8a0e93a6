//! Availability: nothing new on an engine that a person has cordoned or is draining. No filter of
//! the command line: it always holds.

use swarm_model::Availability;

use super::Check;
use crate::placement::node::NodeSummary;

/// Passes engines that are open.
pub(super) struct Open;

impl Check for Open {
    fn passes(&self, node: &NodeSummary) -> bool {
        node.availability == Availability::Active
    }

    fn why(&self, node: &NodeSummary) -> Option<String> {
        match node.availability {
            Availability::Active => None,
            Availability::Pause => Some(format!("{} is cordoned", node.name)),
            Availability::Drain => Some(format!("{} is being drained", node.name)),
        }
    }
}
