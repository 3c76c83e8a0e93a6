//! The decision: one pass over the nodes, hard rules first, then resources, then preferences.
//!
//! Soft rules are not tried and undone: the pass keeps the best node of each level (hard rules only;
//! soft ones too; the image too) and takes the highest level that has one. That is what classic's
//! second attempt without soft expressions comes to, in one pass.

use std::sync::Arc;

use rand::Rng;

use super::containers::ContainerLookup;
use super::decision::{Decision, RESOURCES, Refusal, Removal, SHOWN_NODES};
use super::filter::{self, FilterSet, Rule, Tier};
use super::node::NodeSummary;
use super::request::Request;
use super::strategy::{self, Rank, Strategy};

/// Levels of preference a node can reach.
const LEVELS: usize = 3;

/// Finds the engine for a container.
///
/// `nodes` may come in any order; `rng` draws between equals (and for `random`). Costs one pass over
/// `nodes`, and one scan of the containers per affinity that is a pattern or about labels.
pub fn place<R: Rng + ?Sized>(
    nodes: &[Arc<NodeSummary>],
    request: &Request,
    filters: &FilterSet,
    strategy: Strategy,
    lookup: &dyn ContainerLookup,
    rng: &mut R,
) -> Result<Decision, Refusal> {
    let (hard, soft): (Vec<_>, Vec<_>) = filter::rules(request, filters, lookup)
        .into_iter()
        .partition(|rule| rule.tier == Tier::Hard);
    // One tally per hard rule, and the last for resources.
    let mut tallies = vec![Tally::default(); hard.len() + 1];
    let mut best: [Option<Best>; LEVELS] = [None; LEVELS];

    for (index, node) in nodes.iter().enumerate() {
        if let Some(at) = hard.iter().position(|rule| !rule.check.passes(node)) {
            tallies[at].add(index);
            continue;
        }
        let Some(rank) = strategy.rank(node, request.resources) else {
            tallies[hard.len()].add(index);
            continue;
        };
        Best::offer(&mut best[level(&soft, node)], index, rank, rng);
    }

    let suitable: usize = best.iter().flatten().map(|best| best.offered).sum();
    let highest = best.iter().enumerate().rev().find_map(|(level, best)| Some((level, (*best)?)));
    match highest {
        Some((level, best)) => {
            let node = &nodes[best.index];
            let reason = reason(strategy, node, (nodes.len(), suitable), &soft, level);
            let (id, name) = (node.id.clone(), node.name.clone());
            let removed = removed(&hard, &tallies);
            Ok(Decision { index: best.index, node: id, name, reason, removed })
        }
        None => Err(refusal(nodes, request, &hard, &tallies)),
    }
}

/// 0 when a soft rule fails, 1 when only the wish for the image does, 2 when all hold.
fn level(soft: &[Rule<'_>], node: &NodeSummary) -> usize {
    let holds = |tier| soft.iter().filter(|r| r.tier == tier).all(|r| r.check.passes(node));
    match (holds(Tier::Soft), holds(Tier::Image)) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => 2,
    }
}

/// The best node so far, and how many were as good, so that each of them is equally likely.
#[derive(Debug, Clone, Copy)]
struct Best {
    index: usize,
    rank: Rank,
    equals: usize,
    offered: usize,
}

impl Best {
    fn offer<R: Rng + ?Sized>(slot: &mut Option<Self>, index: usize, rank: Rank, rng: &mut R) {
        let Some(best) = slot else {
            *slot = Some(Self { index, rank, equals: 1, offered: 1 });
            return;
        };
        best.offered += 1;
        if rank < best.rank {
            *best = Self { index, rank, equals: 1, offered: best.offered };
        } else if rank == best.rank {
            best.equals += 1;
            if rng.random_range(0..best.equals) == 0 {
                best.index = index;
            }
        }
    }
}

/// How many nodes a rule removed, and the first of them.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    count: usize,
    first: [usize; SHOWN_NODES],
}

impl Tally {
    fn add(&mut self, index: usize) {
        if let Some(slot) = self.first.get_mut(self.count) {
            *slot = index;
        }
        self.count += 1;
    }

    fn shown<'n>(&self, nodes: &'n [Arc<NodeSummary>]) -> impl Iterator<Item = &'n NodeSummary> {
        let first = self.first.into_iter().take(self.count);
        first.filter_map(|index| nodes.get(index).map(|node| &**node))
    }
}

fn reason(
    strategy: Strategy,
    node: &NodeSummary,
    (nodes, suitable): (usize, usize),
    soft: &[Rule<'_>],
    level: usize,
) -> String {
    let mut text = format!(
        "{strategy} chose {} ({}, {} container{}) of {suitable} suitable of {nodes} node{}",
        node.name,
        strategy.preference(),
        node.containers,
        if node.containers == 1 { "" } else { "s" },
        if nodes == 1 { "" } else { "s" },
    );
    let dropped: Vec<String> = soft
        .iter()
        .filter(|rule| {
            (rule.tier == Tier::Soft && level < 1) || (rule.tier == Tier::Image && level < 2)
        })
        .map(|rule| format!("{} {}", rule.filter, rule.check.what()))
        .collect();
    if !dropped.is_empty() {
        text.push_str("; no node meets all that is preferred, so not counted: ");
        text.push_str(&dropped.join(", "));
    }
    text
}

/// Who removed how many.
fn removed(hard: &[Rule<'_>], tallies: &[Tally]) -> Vec<(&'static str, usize)> {
    let filters = hard.iter().map(|rule| rule.filter).chain([RESOURCES]);
    let counts = filters.zip(tallies.iter().map(|tally| tally.count));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn refusal(
    nodes: &[Arc<NodeSummary>],
    request: &Request,
    hard: &[Rule<'_>],
    tallies: &[Tally],
) -> Refusal {
    let mut left = nodes.len();
    let mut removals = Vec::new();
    for (rule, tally) in hard.iter().zip(tallies).filter(|(_, tally)| tally.count > 0) {
        left = left.saturating_sub(tally.count);
        removals.push(Removal {
            filter: rule.filter,
            what: rule.check.what(),
            count: tally.count,
            note: rule.check.note(left == 0).unwrap_or_default(),
            reasons: tally.shown(nodes).filter_map(|node| rule.check.why(node)).collect(),
        });
    }
    if let Some(tally) = tallies.last().filter(|tally| tally.count > 0) {
        let why = |node| strategy::shortage(node, request.resources);
        removals.push(Removal {
            filter: RESOURCES,
            what: String::new(),
            count: tally.count,
            note: "no resources available to schedule container",
            reasons: tally.shown(nodes).map(why).collect(),
        });
    }
    Refusal { subject: request.subject().to_owned(), nodes: nodes.len(), removals }
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "place_properties.rs"]
mod properties;
