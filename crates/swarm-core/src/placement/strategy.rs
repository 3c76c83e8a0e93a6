//! Strategies: which of the suitable engines is best, and whether one has the resources at all.
//!
//! The weight is classic's: the percentage of CPU reserved after this container, plus that of memory
//! (each 100 where the container reserves none), and ten times the health indicator, which counts
//! for an engine whichever way weights go. Equal weights are decided by the number of
//! containers; where classic leaves what is still equal to chance, so does this.
//!
//! Unlike classic, an engine never takes more than it has: a fraction of a percent is not rounded
//! away, and `random` looks at resources too.

use std::fmt;
use std::str::FromStr;

use super::node::{NANO, NodeSummary, Resources};

/// How the best engine is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// The least reserved engine, and the one with the fewest containers.
    #[default]
    Spread,
    /// The most reserved engine, and the one with the most containers.
    Binpack,
    /// Any suitable engine.
    Random,
}

impl Strategy {
    /// The name on the command line and in `docker info`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spread => "spread",
            Self::Binpack => "binpack",
            Self::Random => "random",
        }
    }

    /// Why it prefers an engine, in words that follow "it is the".
    pub(super) fn preference(self) -> &'static str {
        match self {
            Self::Spread => "least loaded",
            Self::Binpack => "fullest that fits",
            Self::Random => "one drawn",
        }
    }

    /// Where an engine ranks for this container, lowest first; `None` when it lacks the resources.
    pub(super) fn rank(self, node: &NodeSummary, wanted: Resources) -> Option<Rank> {
        let cpu = score(wanted.nano_cpus, node.reserved.nano_cpus, node.total.nano_cpus)?;
        let memory = score(wanted.memory, node.reserved.memory, node.total.memory)?;
        let health = 10 * i64::from(node.health.indicator());
        let containers = i64::from(node.containers);
        Some(match self {
            Self::Spread => (cpu + memory - health, containers),
            Self::Binpack => (-(cpu + memory + health), -containers),
            Self::Random => (0, 0),
        })
    }
}

/// Weight, then number of containers; lower is better.
pub(super) type Rank = (i64, i64);

/// Percent in use with this container on it; 100 when it wants nothing, `None` when it does not fit.
fn score(wanted: i64, reserved: i64, total: i64) -> Option<i64> {
    if wanted <= 0 {
        return Some(100);
    }
    let used = reserved.checked_add(wanted)?;
    if used > total || total <= 0 {
        return None;
    }
    i64::try_from(i128::from(used.max(0)) * 100 / i128::from(total)).ok()
}

/// What is left; nothing where more is reserved than there is.
fn free(total: i64, reserved: i64) -> i64 {
    total.saturating_sub(reserved).max(0)
}

/// Why a node lacks resources, for messages.
pub(super) fn shortage(node: &NodeSummary, wanted: Resources) -> String {
    let mut lacks = Vec::new();
    let (left, total) = (free(node.total.nano_cpus, node.reserved.nano_cpus), node.total.nano_cpus);
    if wanted.nano_cpus > 0 && wanted.nano_cpus > left {
        let (left, total) = (Cpus(left), Cpus(total));
        lacks.push(format!("{left} of {total} CPUs free, {} wanted", Cpus(wanted.nano_cpus)));
    }
    let (left, total) = (free(node.total.memory, node.reserved.memory), node.total.memory);
    if wanted.memory > 0 && wanted.memory > left {
        let (left, total) = (Bytes(left), Bytes(total));
        lacks.push(format!("{left} of {total} memory free, {} wanted", Bytes(wanted.memory)));
    }
    format!("{} has {}", node.name, lacks.join(" and "))
}

/// CPUs with as many decimals as needed, three at most.
struct Cpus(i64);

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thousandths = self.0 / (NANO / 1000);
        let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Bytes in the largest binary unit, two decimals at most.
struct Bytes(i64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1i64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let Some((size, unit)) = units.into_iter().find(|(size, _)| self.0 >= *size) else {
            return write!(f, "{} B", self.0);
        };
        let hundredths = i128::from(self.0) * 100 / i128::from(size);
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        write!(f, "{} {unit}", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no strategy of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown strategy {0:?} (expected spread, binpack or random)")]
pub struct UnknownStrategy(pub String);

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, UnknownStrategy> {
        let known = [Self::Spread, Self::Binpack, Self::Random];
        let found = known.into_iter().find(|strategy| strategy.name() == name);
        found.ok_or_else(|| UnknownStrategy(name.to_owned()))
    }
}
