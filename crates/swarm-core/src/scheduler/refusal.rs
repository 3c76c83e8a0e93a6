//! Why no node was found, in Docker's words: how many nodes each filter removed.

use std::collections::BTreeMap;
use std::fmt;

/// The filters in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// Down, or not to be given tasks.
    Ready,
    /// Too little of something is left.
    Resources,
    /// A volume plugin is missing.
    Plugin,
    /// A constraint does not hold.
    Constraint,
    /// The image is not for it.
    Platform,
    /// Its owner does not allow this, in words.
    Allowed(&'static str),
    /// A fixed port is taken.
    HostPort,
    /// It has as many tasks of the service as it may.
    MaxReplicas,
}

impl Filter {
    /// One word for metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Resources => "resources",
            Self::Plugin => "plugin",
            Self::Constraint => "constraint",
            Self::Platform => "platform",
            Self::Allowed(_) => "allow",
            Self::HostPort => "port",
            Self::MaxReplicas => "max-replicas",
        }
    }

    /// Docker's words for so many nodes.
    fn explain(self, f: &mut fmt::Formatter<'_>, count: usize) -> fmt::Result {
        let nodes = if count == 1 { "node" } else { "nodes" };
        let what = match self {
            Self::Ready => return write!(f, "{count} {nodes} not available for new tasks"),
            Self::Allowed(what) => {
                let verb = if count == 1 { "does" } else { "do" };
                return write!(f, "{count} {nodes} {verb} not allow {what}");
            }
            // Docker's words for this one have no number.
            Self::MaxReplicas => return f.write_str("max replicas per node limit exceed"),
            Self::Resources => "insufficient resources on",
            Self::Plugin => "missing plugin on",
            Self::Constraint => "scheduling constraints not satisfied on",
            Self::Platform => "unsupported platform on",
            Self::HostPort => "host-mode port already in use on",
        };
        write!(f, "{what} {count} {nodes}")
    }
}

/// How many nodes each filter removed; the one that removed most comes first, as in Docker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// Never 0, and they add up to the nodes that were looked at.
    pub counts: Vec<(Filter, usize)>,
}

impl Refusal {
    /// Counts what was removed.
    pub(super) fn count(removed: impl IntoIterator<Item = Filter>) -> Self {
        let mut sorted: BTreeMap<Filter, usize> = BTreeMap::new();
        for filter in removed {
            *sorted.entry(filter).or_default() += 1;
        }
        let mut counts: Vec<_> = sorted.into_iter().collect();
        counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        Self { counts }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no suitable node (")?;
        if self.counts.is_empty() {
            f.write_str("there are no nodes")?;
        }
        for (at, &(filter, count)) in self.counts.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            filter.explain(f, count)?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for Refusal {}
