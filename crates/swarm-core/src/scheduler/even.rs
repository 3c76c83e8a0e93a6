//! Evening services out on request: which tasks would be elsewhere if they were placed now.
//!
//! A task moves only where the scheduler itself would put it, so constraints, preferences, limits per
//! node and resources hold; and only when its node has at least two more of the service than the new
//! one, so each move makes the spread better and a plan that was carried out leaves nothing to move.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use swarm_model::task::TaskStatus;
use swarm_model::{Id, Task, TaskState, Time};

use super::assign::assign;
use super::board::Board;

/// One move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Which task.
    pub task: Id,
    /// Its node.
    pub from: Id,
    /// Where the scheduler would put it.
    pub to: Id,
    /// Why, in one sentence.
    pub reason: String,
}

/// At most `limit` moves of these tasks, which run and are on the board; the board then shows them moved.
pub fn even<R: Rng + ?Sized>(
    board: &mut Board,
    tasks: &[&Task],
    limit: usize,
    now: Time,
    rng: &mut R,
) -> Vec<Move> {
    let mut services: BTreeMap<&Id, Vec<&Task>> = BTreeMap::new();
    for task in tasks {
        services.entry(&task.service_id).or_default().push(task);
    }
    let mut moves = Vec::new();
    for mut left in services.into_values() {
        while moves.len() < limit {
            let Some(one) = next(board, &left, now, rng) else { break };
            left.retain(|task| task.id != one.task);
            moves.push(one);
        }
    }
    moves
}

/// The next move of one service's tasks, from the nodes that have most of them.
fn next<R: Rng + ?Sized>(
    board: &mut Board,
    tasks: &[&Task],
    now: Time,
    rng: &mut R,
) -> Option<Move> {
    let share = |board: &Board, task: &Task, node: &Id| {
        board.find(node).map_or(0, |node| board.share(&task.service_id, node))
    };
    let mut order: Vec<_> =
        tasks.iter().map(|task| (share(board, task, &task.node_id), task)).collect();
    order.sort_by_key(|(have, task)| (std::cmp::Reverse(*have), std::cmp::Reverse(task.slot)));
    // The tasks of one service are alike: one of each node says it for all.
    let mut asked = BTreeSet::new();
    for (have, task) in order {
        if have < 2 {
            return None;
        }
        if !asked.insert(&task.node_id) {
            continue;
        }
        board.remove_task(&task.id);
        let status = TaskStatus { state: TaskState::Pending, ..TaskStatus::default() };
        let free = Task {
            node_id: Id::default(),
            generic_resources: Vec::new(),
            status,
            ..Task::clone(task)
        };
        let found = assign(board, &[&free], now, rng).pop().and_then(|(_, found)| found.ok());
        if let Some(found) = found.filter(|found| found.node != task.node_id) {
            // It counts there already.
            let has = share(board, task, &found.node).saturating_sub(1);
            if have >= has + 2 {
                let reason = format!("{have} of the service are on its node, and {has} there");
                let (task, from) = (task.id.clone(), task.node_id.clone());
                return Some(Move { task, from, to: found.node, reason });
            }
        }
        board.set_task(task);
    }
    None
}
