//! Emptying: the least used engine gives away all it has, if the others have room for all of it.
//!
//! The measure that falls is the number of engines that have containers: nothing goes to an empty
//! one, and an engine that cannot be emptied whole gives nothing.

use std::collections::HashSet;

use swarm_model::Availability;

use super::board::Board;
use super::load::Load;
use super::plan::{Move, Plan, Settings, Stay};
use crate::placement::strategy::Strategy;

pub(super) fn plan(board: &mut Board<'_>, settings: &Settings) -> Plan {
    let mut plan = Plan::default();
    let mut stays: Vec<Stay> = Vec::new();
    // After each engine that was emptied, the others are asked again: what is where has changed.
    'again: while plan.moves.len() < settings.limit {
        stays.clear();
        let used = least_used_first(board);
        if used.len() < 2 {
            break;
        }
        for from in used {
            match empty(board, from) {
                Ok(moves) => {
                    let room = settings.limit - plan.moves.len();
                    plan.moves.extend(moves.into_iter().take(room));
                    continue 'again;
                }
                Err(stay) => stays.extend(stay),
            }
        }
        break;
    }
    plan.stays = stays;
    plan
}

fn least_used_first(board: &Board<'_>) -> Vec<usize> {
    let mut used: Vec<(Load, usize)> = board
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node.containers > 0 && node.health.is_healthy())
        .filter(|(_, node)| node.availability == Availability::Active)
        .map(|(index, node)| (Load::of(node), index))
        .collect();
    used.sort_by(|(a, left), (b, right)| {
        a.cmp(b).then_with(|| board.nodes[*left].id.cmp(&board.nodes[*right].id))
    });
    used.into_iter().map(|(_, index)| index).collect()
}

/// All moves off an engine; or, with nothing changed, what stays (nothing where it is not known).
fn empty(board: &mut Board<'_>, from: usize) -> Result<Vec<Move>, Option<Stay>> {
    let residents = board.on(from);
    if residents.len() != board.nodes[from].containers as usize {
        return Err(None);
    }
    let before = (board.nodes.clone(), board.at.clone());
    let emptied: HashSet<usize> =
        (0..board.nodes.len()).filter(|node| board.nodes[*node].containers == 0).collect();
    let source = board.nodes[from].name.clone();
    let had = Load::of(&board.nodes[from]);
    let mut moves = Vec::with_capacity(residents.len());
    for resident in residents {
        let target = board.movable(resident).and_then(|movable| {
            let among = |node: usize, _: &_| node != from && !emptied.contains(&node);
            Ok((movable, board.choose(resident, movable, Strategy::Binpack, among)?))
        });
        match target {
            Ok((movable, to)) => {
                let onto = (&board.nodes[to].name, Load::of(&board.nodes[to]));
                let reason =
                    format!("from {source} ({had}), which gets empty, to {} ({})", onto.0, onto.1);
                moves.push(board.describe(resident, movable, to, reason));
                board.apply(resident, movable, to);
            }
            Err(reason) => {
                (board.nodes, board.at) = before;
                return Err(Some(board.stays(resident, reason)));
            }
        }
    }
    Ok(moves)
}
