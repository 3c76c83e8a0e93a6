//! What placement answers: a node and why, or a refusal that says what removed every node.

use std::fmt;
use std::sync::Arc;

use super::node::NodeId;

/// Where the container goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Index into the nodes that were given.
    pub index: usize,
    /// The engine's id.
    pub node: NodeId,
    /// The engine's name.
    pub name: Arc<str>,
    /// Why, in one sentence.
    pub reason: String,
    /// How many nodes each filter removed, in the order of the filters; none that removed nobody.
    pub removed: Vec<(&'static str, usize)>,
}

/// Nodes whose own reason a refusal lists, per filter: enough for a small pool, short for any.
pub const SHOWN_NODES: usize = 5;

/// Why there is no node. `Display` is the whole explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The container's name, or its image.
    pub subject: String,
    /// How many nodes were looked at.
    pub nodes: usize,
    /// What removed them, in the order of the filters; the counts add up to `nodes`.
    pub removals: Vec<Removal>,
}

impl Refusal {
    /// Whether there would be a node if there were more resources.
    pub fn lacks_resources(&self) -> bool {
        self.removals.iter().any(|removal| removal.filter == RESOURCES)
    }
}

/// The name that removals for want of CPU or memory carry in place of a filter's.
pub const RESOURCES: &str = "resources";

/// What one filter, or one expression of it, removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The filter's name, or [`RESOURCES`].
    pub filter: &'static str,
    /// The expression, port or dependency at fault; empty where the filter says it all.
    pub what: String,
    /// How many nodes it removed.
    pub count: usize,
    /// What is to be said about all of them at once; empty where there is nothing.
    pub note: &'static str,
    /// Up to [`SHOWN_NODES`] nodes' own reasons, such as `node-3 is unhealthy: timeout`.
    pub reasons: Vec<String>,
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.filter)?;
        if !self.what.is_empty() {
            write!(f, " {}", self.what)?;
        }
        write!(f, " removed {}", self.count)?;
        let reasons = self.reasons.join(", ");
        match (self.note, reasons.as_str()) {
            ("", "") => return Ok(()),
            ("", reasons) => write!(f, " ({reasons}")?,
            (note, "") => write!(f, " ({note}")?,
            (note, reasons) => write!(f, " ({note}: {reasons}")?,
        }
        let more = self.count.saturating_sub(self.reasons.len());
        if more > 0 && !self.reasons.is_empty() {
            write!(f, " and {more} more")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no suitable node for {}: ", self.subject)?;
        match self.nodes {
            0 => f.write_str("No nodes available in the cluster")?,
            1 => f.write_str("1 node")?,
            n => write!(f, "{n} nodes")?,
        }
        for removal in &self.removals {
            write!(f, "; {removal}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
