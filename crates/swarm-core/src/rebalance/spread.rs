//! Evening out: from the engine with the most to where placement would put it today, as long as the
//! two come noticeably nearer to each other.
//!
//! The measure that each move makes smaller: the sum of the squares of all reserved shares, then that
//! of all numbers of containers.

use swarm_model::Availability;

use super::board::Board;
use super::load::Load;
use super::plan::{Plan, Settings};
use super::resident::Movable;
use crate::placement::node::Resources;
use crate::placement::strategy::Strategy;

/// Containers by which two engines must differ before one moves for the sake of their numbers: with
/// less, they would only change roles.
const CONTAINERS: i64 = 2;

pub(super) fn plan(board: &mut Board<'_>, settings: &Settings) -> Plan {
    let mut plan = Plan::default();
    while plan.moves.len() < settings.limit {
        let Some((resident, movable, to, reason)) = best(board, settings) else { break };
        plan.moves.push(board.describe(resident, movable, to, reason));
        board.apply(resident, movable, to);
    }
    if plan.moves.len() < settings.limit {
        plan.stays = in_the_way(board, settings);
    }
    plan
}

/// Engines that give and take, the most used first.
fn ranked(board: &Board<'_>) -> Vec<(usize, Load)> {
    let open =
        board.nodes.iter().enumerate().filter(|(_, node)| {
            node.health.is_healthy() && node.availability == Availability::Active
        });
    let mut ranked: Vec<_> = open.map(|(index, node)| (index, Load::of(node))).collect();
    ranked.sort_by(|(a, left), (b, right)| {
        right.cmp(left).then_with(|| board.nodes[*a].id.cmp(&board.nodes[*b].id))
    });
    ranked
}

/// Those of them that are noticeably above another.
fn above(ranked: &[(usize, Load)], settings: &Settings) -> Vec<usize> {
    let least = |of: fn(&Load) -> i64| ranked.iter().map(|(_, load)| of(load)).min().unwrap_or(0);
    let (share, containers) = (least(|load| load.share), least(|load| load.containers));
    let high = ranked.iter().filter(|(_, load)| {
        load.share - share >= settings.share() || load.containers - containers >= CONTAINERS
    });
    high.map(|(index, _)| *index).collect()
}

/// The best move off the most used engine that has one.
fn best<'p>(
    board: &mut Board<'p>,
    settings: &Settings,
) -> Option<(usize, &'p Movable, usize, String)> {
    let ranked = ranked(board);
    for from in above(&ranked, settings) {
        let mut best: Option<(Gain, usize, &'p Movable, usize)> = None;
        for resident in board.on(from) {
            let Ok(movable) = board.movable(resident) else { continue };
            let Ok(to) = board.choose(resident, movable, Strategy::Spread, |_, _| true) else {
                continue;
            };
            let gain = Gain::of(board, movable, from, to);
            if gain.is_worth_it(settings) && best.as_ref().is_none_or(|(most, ..)| gain > *most) {
                best = Some((gain, resident, movable, to));
            }
        }
        if let Some((_, resident, movable, to)) = best {
            let (a, b) = (&board.nodes[from], &board.nodes[to]);
            let taken = movable.request.resources;
            let less = negative(taken);
            let reason = format!(
                "from {} ({}) to {} ({}); then they have {} and {}",
                a.name,
                Load::of(a),
                b.name,
                Load::of(b),
                Load::with(a, less, -1),
                Load::with(b, taken, 1),
            );
            return Some((resident, movable, to, reason));
        }
    }
    None
}

fn negative(taken: Resources) -> Resources {
    Resources { nano_cpus: -taken.nano_cpus, memory: -taken.memory }
}

/// What a move is good for; the greater, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Gain {
    /// How much smaller the sum of the squares of shares gets.
    shares: i128,
    /// And that of the numbers of containers.
    containers: i128,
    /// How much nearer the two shares come.
    nearer: i64,
    /// How much nearer the two numbers come.
    nearer_containers: i64,
}

impl Gain {
    fn of(board: &Board<'_>, movable: &Movable, from: usize, to: usize) -> Self {
        if from == to {
            return Self { shares: 0, containers: 0, nearer: 0, nearer_containers: 0 };
        }
        let (a, b) = (&board.nodes[from], &board.nodes[to]);
        let taken = movable.request.resources;
        let before = (Load::of(a), Load::of(b));
        let after = (Load::with(a, negative(taken), -1), Load::with(b, taken, 1));
        let squares = |x: i64, y: i64| i128::from(x).pow(2) + i128::from(y).pow(2);
        let fall = |of: fn(&Load) -> i64| {
            squares(of(&before.0), of(&before.1)) - squares(of(&after.0), of(&after.1))
        };
        let nearer = |of: fn(&Load) -> i64| {
            (of(&before.0) - of(&before.1)) - (of(&after.0) - of(&after.1)).abs()
        };
        Self {
            shares: fall(|load| load.share),
            containers: fall(|load| load.containers),
            nearer: nearer(|load| load.share),
            nearer_containers: nearer(|load| load.containers),
        }
    }

    fn is_worth_it(&self, settings: &Settings) -> bool {
        let by_share = self.shares > 0 && self.nearer >= settings.share().max(1);
        let by_number =
            self.shares >= 0 && self.containers > 0 && self.nearer_containers >= CONTAINERS;
        by_share || by_number
    }
}

/// What cannot move on engines that are above others still.
fn in_the_way(board: &Board<'_>, settings: &Settings) -> Vec<super::plan::Stay> {
    let above = above(&ranked(board), settings);
    let residents = above.into_iter().flat_map(|node| board.on(node));
    residents.filter_map(|one| Some(board.stays(one, board.movable(one).err()?))).collect()
}
