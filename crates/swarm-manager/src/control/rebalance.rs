//! `POST /pool/rebalance` of a swarm: which tasks of replicated services would be elsewhere if they were
//! placed now, and with `apply` what becomes of each move, a line as it ends. The same shape as a pool's
//! answer. `stop` ends what this manager carries out after the moves under way.
//!
//! A move is a mark on the task; the leader's orchestrator follows it, start-first or stop-first as the
//! service is updated. Invariants: services that are being changed, or have tasks that do not run, are
//! left alone; so many moves at a time as were asked for; a move that does not come to its end is waited
//! for within a bound, and no other is begun after it; the last line says what was not made, and why.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use rand::Rng;
use serde_json::{Value, json};
use swarm_backend::{BoxError, Exchange, Pools, Reply, Result};
use swarm_core::scheduler::even::{Move, even};
use swarm_core::scheduler::movable::movable;
use swarm_core::scheduler::{Board, room::takes_tasks};
use swarm_docker::ApiError;
use swarm_model::{Id, Task, TaskState, Time};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::{Control, failed, now};
use crate::replica::Tables;

/// Moves in a plan unless the client says otherwise, and the most it may ask for.
const LIMIT: (usize, usize) = (10, 1_000);
/// Moves at a time unless the client says otherwise, and the most it may ask for.
const AT_ONCE: (usize, usize) = (1, 16);
/// How long a move is waited for: images are pulled, and tasks have their time to stop.
const PATIENCE: Duration = Duration::from_mins(10);
/// Lines that wait for a slow client; moves wait behind them.
const WAITING: usize = 16;
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
        if exchange.query.flag("stop") {
            // Those that end the moves under way hear of it.
            let carried_out = self.rebalances.receiver_count();
            self.rebalances.send_modify(|stops| *stops += 1);
            return Reply::ok(&json!({"Stopping": carried_out}));
        }
        let (limit, at_once) = (number("limit", LIMIT)?, number("at_once", AT_ONCE)?);
        let planned = self.look(|tables| plan(tables, limit, now(tables), &mut rand::rng())).await;
        if !exchange.query.flag("apply") {
            return Reply::ok(&planned.shown);
        }
        let this = self.this.upgrade();
        let this = this.ok_or_else(|| ApiError::unavailable("this manager is being stopped"))?;
        let (told, lines) = mpsc::channel(WAITING);
        let stops = self.rebalances.subscribe();
        // Before any move: there is room for one.
        let _ = told.try_send(planned.shown);
        let tasks = planned.moves.into_iter().map(|(_, task)| task).collect();
        tokio::spawn(async move { this.carry_out(tasks, at_once, told, stops).await });
        let frames = stream::unfold(lines, |mut lines| async move {
            let line: Value = lines.recv().await?;
            let frame: std::result::Result<_, BoxError> =
                Ok(Frame::data(Bytes::from(format!("{line}\n"))));
            Some((frame, lines))
        });
        let body = StreamBody::new(frames).boxed_unsync();
        Ok(Reply::streaming_json(StatusCode::OK, body))
    }
}

impl Control {
    /// Makes moves, so many at a time, and tells how each ended, and then the sums.
    async fn carry_out(
        &self,
        tasks: Vec<Task>,
        at_once: usize,
        told: mpsc::Sender<Value>,
        stops: watch::Receiver<u64>,
    ) {
        let planned = tasks.len();
        let (moved, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let is_stuck = AtomicBool::new(false);
        let why_not = || match stops.has_changed() {
            Ok(false) if is_stuck.load(Ordering::Relaxed) => Some("one before has not ended"),
            Ok(false) => None,
            _ => Some("it was stopped"),
        };
        stream::iter(tasks)
            .for_each_concurrent(at_once, async |task: Task| {
                // Who does not listen any more wants no further move.
                if told.is_closed() || why_not().is_some() {
                    return;
                }
                let mut line = json!({"Container": task_name(&task)});
                let ended = self.moved(&task).await;
                is_stuck.fetch_or(ended.is_none(), Ordering::Relaxed);
                let not_yet = "not yet; it goes on (docker service ps says how far it is)";
                match ended.unwrap_or_else(|| Err(not_yet.to_owned())) {
                    Ok(node) => {
                        moved.fetch_add(1, Ordering::Relaxed);
                        line["MovedTo"] = node.into();
                    }
                    Err(why) => {
                        lost.fetch_add(1, Ordering::Relaxed);
                        line["Error"] = why.into();
                    }
                }
                // Who has gone meanwhile is not told.
                let _ = told.send(line).await;
            })
            .await;
        let (moved, lost) = (moved.into_inner(), lost.into_inner());
        let mut last = json!({"Moved": moved, "Failed": lost});
        let left = planned - moved - lost;
        if let Some(why) = why_not().filter(|_| left > 0) {
            last["Error"] = format!("{left} not begun: {why}").into();
        }
        let _ = told.send(last).await;
    }

    /// Makes one move; `None` where it has not ended within a bound.
    async fn moved(&self, task: &Task) -> Option<std::result::Result<String, String>> {
        match self.mark(task).await {
            Ok(()) => timeout(PATIENCE, self.followed(task)).await.ok(),
            Err(refused) => Some(Err(refused.message)),
        }
    }

    /// Marks a task that is to move; one that ended meanwhile is followed anyway.
    async fn mark(&self, task: &Task) -> Result<()> {
        self.write(|tables, batch| {
            let Some(task) = tables.tasks.get(&task.id).filter(|task| task.is_wanted()) else {
                return Ok(());
            };
            let mut marked = Task::clone(task);
            marked.lineage.moves = true;
            marked.updated_at = now(tables);
            batch.put(&marked).map_err(failed)
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
