//! What draining a node would move, before anybody does it: the scheduler's own answer for each of its
//! tasks, one after the other, on a board on which the node is drained already.

use std::sync::Arc;

use rand::Rng;
use serde_json::{Value, json};
use swarm_core::scheduler::{Board, assign};
use swarm_model::service::Condition;
use swarm_model::task::TaskStatus;
use swarm_model::{Availability, Id, Node, Task, TaskState, Time};

use crate::control::rebalance::{node_name, starts_first, task_name};
use crate::replica::Tables;

/// The plan, in the form of `POST /pool/rebalance`.
pub fn plan<R: Rng + ?Sized>(tables: &Tables, node: &Node, now: Time, rng: &mut R) -> Value {
    let mut drained = node.clone();
    drained.spec.availability = Availability::Drain;
    let others = tables.nodes.values().filter(|other| other.id != node.id).cloned();
    let nodes = others.chain([Arc::new(drained)]);
    let mut board = Board::new(nodes, tables.tasks.values().map(|task| &**task));
    let (mut moves, mut kept) = (Vec::new(), Vec::new());
    let wanted = tables.tasks_of_node(&node.id).filter(|task| task.is_wanted());
    for task in wanted.filter(|task| !task.status.state.is_end()) {
        board.remove_task(&task.id);
        match elsewhere(tables, &mut board, task, now, rng) {
            Ok((to, reason)) => moves.push(json!({
                "Container": task_name(task), "ID": task.id, "From": node.name(),
                "To": node_name(tables, &to), "StartFirst": starts_first(tables, task),
                "Reason": reason,
            })),
            Err(reason) => kept.push(json!({
                "Container": task_name(task), "ID": task.id, "Node": node.name(), "Reason": reason,
            })),
        }
    }
    let note = match (moves.len(), kept.len()) {
        (0, 0) => format!("{} has no tasks", node.name()),
        (count, 0) => format!("{count} would move off {}", node.name()),
        (count, ended) => {
            format!("{count} would move off {}, {ended} would end and run nowhere", node.name())
        }
    };
    json!({"Note": note, "Moves": moves, "Kept": kept})
}

/// Where a task would run again and why, or why it would not.
fn elsewhere<R: Rng + ?Sized>(
    tables: &Tables,
    board: &mut Board,
    task: &Task,
    now: Time,
    rng: &mut R,
) -> Result<(Id, String), String> {
    let Some(service) = tables.services.get(&task.service_id) else {
        return Err("its service is being removed".to_owned());
    };
    if service.spec.mode.decided().is_global() {
        return Err("its service has one on each node that takes tasks".to_owned());
    }
    if service.spec.task_template.condition() == Condition::None {
        return Err("its restart policy is none: nothing follows it".to_owned());
    }
    let status = TaskStatus { state: TaskState::Pending, ..TaskStatus::default() };
    let free =
        Task { node_id: Id::default(), generic_resources: Vec::new(), status, ..Task::clone(task) };
    match assign(board, &[&free], now, rng).pop() {
        Some((_, Ok(found))) => Ok((found.node, found.reason)),
        Some((_, Err(refusal))) => Err(format!("it would wait: {refusal}")),
        None => Err("it would wait".to_owned()),
    }
}
