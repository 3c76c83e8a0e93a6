//! The containerslots filter: an engine labelled `containerslots=N` takes at most N containers.
//! An engine without the label, or with one that is no number, has no limit, as in classic.

use super::Check;
use crate::placement::node::NodeSummary;

/// Passes engines with a free slot.
pub(super) struct FreeSlot;

fn slots(node: &NodeSummary) -> Option<i64> {
    node.labels.get("containerslots")?.parse().ok()
}

impl Check for FreeSlot {
    fn passes(&self, node: &NodeSummary) -> bool {
        slots(node).is_none_or(|slots| i64::from(node.containers) < slots)
    }

    fn why(&self, node: &NodeSummary) -> Option<String> {
        let slots = slots(node)?;
        Some(format!("{} has {} containers in {slots} slots", node.name, node.containers))
    }
}
