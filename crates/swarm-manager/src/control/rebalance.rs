//! `POST /pool/rebalance` of a swarm: which tasks of replicated services would be elsewhere if they were
//! placed now, and with `apply` what became of the moves. The same shape as a pool's answer.
//!
//! A move is a mark on the task; the leader's orchestrator follows it, start-first or stop-first as the
//! service is updated. Invariants: services that are being changed, or have tasks that do not run, are
//! left alone; so many moves at a time as were asked for; the answer comes within a bound, and says
//! what was not made.

use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use rand::Rng;
use serde_json::{Value, json};
use swarm_backend::{Exchange, Pools, Reply, Result, full};
use swarm_core::scheduler::even::{Move, even};
use swarm_core::scheduler::movable::movable;
use swarm_core::scheduler::{Board, room::takes_tasks};
use swarm_docker::ApiError;
use swarm_model::{Id, Task, TaskState, Time};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Control, failed, now};
use crate::replica::Tables;

/// Moves in a plan unless the client says otherwise, and the most it may ask for.
const LIMIT: (usize, usize) = (10, 1_000);
/// Moves at a time unless the client says otherwise, and the most it may ask for.
const AT_ONCE: (usize, usize) = (1, 16);
/// No move is waited for, or begun, after this: clients wait a minute for an answer.
const PATIENCE: Duration = Duration::from_secs(50);
/// Between two looks at a move.
const LOOK: Duration = Duration::from_millis(100);

/// A plan, and as it is shown: with the services that are left alone, and why.
struct Planned {
    moves: Vec<(Move, Task)>,
    shown: Value,
}

#[async_trait]
impl Pools for Control {
    async fn rebalance(&self, exchange: Exchange) -> Result<Reply> {
        let number = |key: &str, (usual, most): (usize, usize)| {
            let Some(asked) = exchange.query.number(key)? else { return Ok(usual) };
            let asked = usize::try_from(asked).ok().filter(|asked| (1..=most).contains(asked));
            asked.ok_or_else(|| ApiError::invalid(format!("{key} must be 1 to {most}")))
        };
        let (limit, at_once) = (number("limit", LIMIT)?, number("at_once", AT_ONCE)?);
        let planned = self.look(|tables| plan(tables, limit, now(tables), &mut rand::rng())).await;
        if !exchange.query.flag("apply") {
            return Reply::ok(&planned.shown);
        }
        let mut lines = vec![planned.shown];
        let until = Instant::now() + PATIENCE;
        let (mut moved, mut lost, mut left) = (0, 0, planned.moves.len());
        for some in planned.moves.chunks(at_once) {
            if Instant::now() >= until {
                break;
            }
            left -= some.len();
            self.mark(some).await?;
            for (_, task) in some {
                let outcome = timeout_at(until, self.followed(task)).await;
                let name = json!(task_name(task));
                lines.push(match outcome {
                    Ok(Ok(node)) => {
                        moved += 1;
                        json!({"Container": name, "MovedTo": node})
                    }
                    Ok(Err(why)) => {
                        lost += 1;
                        json!({"Container": name, "Error": why})
                    }
                    Err(_) => {
                        lost += 1;
                        let why = "not yet; it goes on (docker service ps says how far it is)";
                        json!({"Container": name, "Error": why})
                    }
                });
            }
        }
        let mut last = json!({"Moved": moved, "Failed": lost});
        if left > 0 {
            let most = PATIENCE.as_secs();
            last["Error"] = format!("{left} not begun within {most} s; ask again").into();
        }
        lines.push(last);
        let mut body = String::new();
        for line in lines {
            body.push_str(&line.to_string());
            body.push('\n');
        }
        Ok(Reply::streaming_json(StatusCode::OK, full(body)))
    }
}

impl Control {
    /// Marks tasks that are to move; those that ended meanwhile are followed anyway.
    async fn mark(&self, some: &[(Move, Task)]) -> Result<()> {
        self.write(|tables, batch| {
            for (_, task) in some {
                let Some(task) = tables.tasks.get(&task.id).filter(|task| task.is_wanted()) else {
                    continue;
                };
                let mut marked = Task::clone(task);
                marked.lineage.moves = true;
                marked.updated_at = now(tables);
                batch.put(&marked).map_err(failed)?;
            }
            Ok(())
        })
        .await
    }

    /// Waits until another task runs in its slot alone; on which node, or why not.
    async fn followed(&self, old: &Task) -> std::result::Result<String, String> {
        loop {
            let found = self.replica.read(|tables| {
                if !tables.services.contains_key(&old.service_id) {
                    return Some(Err("its service was removed meanwhile".to_owned()));
                }
                let wanted: Vec<_> = tables
                    .tasks_of_service(&old.service_id)
                    .filter(|task| task.slot == old.slot && task.is_wanted())
                    .collect();
                match wanted.as_slice() {
                    [one] if one.id != old.id && one.status.state == TaskState::Running => {
                        Some(Ok(node_name(tables, &one.node_id)))
                    }
                    _ => None,
                }
            });
            match found {
                Some(outcome) => return outcome,
                None => sleep(LOOK).await,
            }
        }
    }
}

/// What would be moved, as it is shown.
pub(crate) fn planned<R: Rng + ?Sized>(
    tables: &Tables,
    limit: usize,
    now: Time,
    rng: &mut R,
) -> Value {
    plan(tables, limit, now, rng).shown
}

fn plan<R: Rng + ?Sized>(tables: &Tables, limit: usize, now: Time, rng: &mut R) -> Planned {
    let mut board =
        Board::new(tables.nodes.values().cloned(), tables.tasks.values().map(|task| &**task));
    let mut kept = Vec::new();
    let mut tasks: Vec<&Task> = Vec::new();
    for service in tables.services.values() {
        let takes = |node: &Id| tables.nodes.get(node).is_some_and(|node| takes_tasks(node));
        match movable(service, tables.tasks_of_service(&service.id).map(|task| &**task), takes) {
            Ok(own) => tasks.extend(own),
            Err(why) => {
                kept.push(json!({"Container": service.spec.name, "Node": "-", "Reason": why}));
            }
        }
    }
    let moves = even(&mut board, &tasks, limit, now, rng);
    let moves: Vec<(Move, Task)> = moves
        .into_iter()
        .filter_map(|one| {
            let task = Task::clone(tables.tasks.get(&one.task)?);
            Some((one, task))
        })
        .collect();
    let shown = show(tables, &moves, &kept, limit);
    Planned { moves, shown }
}

fn show(tables: &Tables, moves: &[(Move, Task)], kept: &[Value], limit: usize) -> Value {
    let shown: Vec<Value> = moves
        .iter()
        .map(|(one, task)| {
            json!({"Container": task_name(task), "ID": task.id, "From": node_name(tables, &one.from),
                "To": node_name(tables, &one.to), "StartFirst": starts_first(tables, task),
                "Reason": one.reason})
        })
        .collect();
    let note = match moves.len() {
        0 => "every service is spread as evenly as it may be".to_owned(),
        count if count == limit => format!("{count} moves, as many as were asked for"),
        1 => "1 move evens the services out".to_owned(),
        count => format!("{count} moves even the services out"),
    };
    json!({"Note": note, "Moves": shown, "Kept": kept})
}

/// Whether another task runs before it ends.
pub(crate) fn starts_first(tables: &Tables, task: &Task) -> bool {
    let service = tables.services.get(&task.service_id);
    service.is_some_and(|service| swarm_core::orchestrator::moves_start_first(service))
}

/// A replicated service's task by its slot.
pub(crate) fn task_name(task: &Task) -> String {
    format!("{}.{}", task.service_annotations.name, task.slot)
}

/// A node by its host's name.
pub(crate) fn node_name(tables: &Tables, id: &Id) -> String {
    tables.nodes.get(id).map_or_else(|| id.to_string(), |node| node.name().to_owned())
}
