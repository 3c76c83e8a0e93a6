//! How much an engine is used: the share of it that is reserved, and how many containers it has.

use std::fmt;

use crate::placement::node::{NodeSummary, Resources};

/// One percent, in the unit of shares.
pub(super) const PERCENT: i64 = 100;

/// An engine's use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Load {
    /// Hundredths of a percent: the middle of processor and memory.
    pub share: i64,
    /// Containers in any state.
    pub containers: i64,
}

impl Load {
    /// Now.
    pub(super) fn of(node: &NodeSummary) -> Self {
        Self::with(node, Resources::default(), 0)
    }

    /// With this much more, or less.
    pub(super) fn with(node: &NodeSummary, more: Resources, containers: i64) -> Self {
        let share = |reserved: i64, more: i64, total: i64| {
            let used = i128::from(reserved) + i128::from(more);
            if total <= 0 { 0 } else { used.max(0) * 100 * i128::from(PERCENT) / i128::from(total) }
        };
        let cpu = share(node.reserved.nano_cpus, more.nano_cpus, node.total.nano_cpus);
        let memory = share(node.reserved.memory, more.memory, node.total.memory);
        Self {
            share: i64::try_from(i128::midpoint(cpu, memory)).unwrap_or(i64::MAX),
            containers: i64::from(node.containers) + containers,
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = if self.containers == 1 { "" } else { "s" };
        write!(f, "{} % reserved, {} container{ending}", self.share / PERCENT, self.containers)
    }
}
