//! What rebalancing is asked and what it answers.

use std::fmt;
use std::sync::Arc;

use super::load::PERCENT;
use super::resident::Resident;
use crate::placement::filter::FilterSet;
use crate::placement::node::{NodeId, NodeSummary};
use crate::placement::strategy::Strategy;

/// The pool as it is.
#[derive(Debug, Clone, Copy)]
pub struct Pool<'a> {
    /// All engines.
    pub nodes: &'a [Arc<NodeSummary>],
    /// All containers, also those that cannot move: affinities and names are about them.
    pub residents: &'a [Resident],
    /// The filters in force.
    pub filters: &'a FilterSet,
    /// The strategy.
    pub strategy: Strategy,
}

/// When a move is worth it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many moves at most.
    pub limit: usize,
    /// Percent of an engine by which a move must bring two engines' reserved shares nearer to each
    /// other, where it is made for their sake.
    pub percent: u8,
}

impl Default for Settings {
    /// A handful of moves, and none for less than a twentieth of an engine.
    fn default() -> Self {
        Self { limit: 10, percent: 5 }
    }
}

impl Settings {
    /// `percent`, in the unit of shares.
    pub(super) fn share(&self) -> i64 {
        i64::from(self.percent) * PERCENT
    }
}

/// One move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The intent's id.
    pub intent: String,
    /// The engine's id of the container that goes.
    pub container: String,
    /// Its name.
    pub name: String,
    /// From where.
    pub from: NodeId,
    /// To where.
    pub to: NodeId,
    /// Whether the new copy is to run before the old one is stopped.
    pub start_first: bool,
    /// Why, in words.
    pub reason: String,
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

/// A container that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// Its name.
    pub name: String,
    /// The engine's id of it.
    pub container: String,
    /// Where.
    pub node: NodeId,
    /// Why, in words.
    pub reason: String,
}

/// What to move.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be carried out in this order.
    pub moves: Vec<Move>,
    /// Containers that stood in the way of a better pool, or of an empty engine.
    pub stays: Vec<Stay>,
    /// The outcome in a sentence.
    pub note: String,
}
