//! Draining: everything that can move off one engine, and why the rest stays.

use super::board::Board;
use super::plan::{Plan, Pool};
use crate::placement::node::NodeId;

/// Plans to move everything off `node`, by the pool's own strategy; the largest first, while there
/// is most room.
pub fn drain(pool: &Pool<'_>, node: &NodeId) -> Plan {
    let mut board = Board::new(pool);
    let mut plan = Plan::default();
    let Some(from) = board.nodes.iter().position(|one| one.id == *node) else {
        let note = format!("there is no engine {node}");
        return Plan { note, ..Plan::default() };
    };
    let name = board.nodes[from].name.clone();
    let mut residents = board.on(from);
    let size = |resident: &usize| {
        let movable = pool.residents[*resident].movable.as_ref().ok();
        let wanted = movable.map(|movable| movable.request.resources).unwrap_or_default();
        std::cmp::Reverse((wanted.memory, wanted.nano_cpus))
    };
    residents.sort_by_key(|resident| (size(resident), &pool.residents[*resident].name));
    for resident in residents {
        let chosen = board.movable(resident).and_then(|movable| {
            let to = board.choose(resident, movable, pool.strategy, |index, _| index != from)?;
            Ok((movable, to))
        });
        match chosen {
            Ok((movable, to)) => {
                let reason = format!("{name} is being drained; {} takes it", board.nodes[to].name);
                plan.moves.push(board.describe(resident, movable, to, reason));
                board.apply(resident, movable, to);
            }
            Err(reason) => plan.stays.push(board.stays(resident, reason)),
        }
    }
    plan.note = match (plan.moves.len(), plan.stays.len()) {
        (0, 0) => format!("{name} has nothing on it"),
        (moves, 0) => format!("{moves} to move, and {name} is empty"),
        (moves, stays) => format!("{moves} to move; {stays} cannot, and stay on {name}"),
    };
    plan
}
