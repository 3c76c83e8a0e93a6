//! Pending tasks get their nodes.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::Rng;
use swarm_core::scheduler::assign;
use swarm_model::{Id, Task, TaskState, Time};

use super::desk::Desk;
use super::draft::Draft;
use super::orchestrate::allocate;
use crate::replica::Tables;

/// Other words about a task that waits are written this long after the last ones: while thousands of
/// nodes come, each would change the counts in every refusal.
const RETELL: i64 = 5_000_000_000;

/// Finds nodes for tasks that were just made, for `most` of those that nobody looked for yet, and,
/// when something has changed for them, for those that wait.
pub fn tasks<R: Rng + ?Sized>(
    desk: &mut Desk,
    tables: &Tables,
    now: Time,
    rng: &mut R,
    draft: &mut Draft,
    most: usize,
) {
    let mut ids: BTreeSet<Id> = draft
        .tasks
        .values()
        .filter(|task| task.status.state == TaskState::Pending && task.is_wanted())
        .map(|task| task.id.clone())
        .collect();
    for _ in ids.len()..most {
        let Some(id) = desk.fresh.pop_first() else { break };
        ids.insert(id);
    }
    let is_due = desk.retell.is_some_and(|at| at <= now);
    // Only once nobody new comes any more: they are as good as those that wait.
    if (desk.room || is_due) && !desk.waiting.is_empty() && desk.fresh.is_empty() {
        desk.room = false;
        ids.extend(desk.waiting.iter().cloned());
    }
    if is_due {
        desk.retell = None;
    }
    let mut pending: Vec<Task> = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(task) = draft.shown(tables, &id) else {
            desk.waiting.remove(&id);
            continue;
        };
        if task.status.state > TaskState::Pending || !task.is_wanted() {
            desk.waiting.remove(&id);
            continue;
        }
        let mut task = task.clone();
        allocate(&mut task, now);
        pending.push(task);
    }
    if pending.is_empty() {
        return;
    }
    let asked: Vec<&Task> = pending.iter().collect();
    let outcomes: std::collections::HashMap<_, _> =
        assign(&mut desk.board, &asked, now, rng).into_iter().collect();
    for mut task in pending {
        match outcomes.get(&task.id) {
            Some(Ok(assignment)) => {
                desk.waiting.remove(&task.id);
                if let Err(error) = assignment.apply(&mut task, now) {
                    tracing::error!(task = %task.id, %error, "a task cannot be assigned");
                    continue;
                }
                tracing::debug!(task = %task.id, reason = assignment.reason, "assigned");
                draft.assigned.insert(task.id.clone());
                draft.tasks.insert(task.id.clone(), task);
            }
            Some(Err(refusal)) => {
                desk.waiting.insert(task.id.clone());
                let told_at = task.status.timestamp.plus(RETELL);
                if !task.status.err.is_empty() && told_at > now {
                    let is_news = task.status.err != refusal.to_string();
                    if is_news {
                        desk.retell = Some(desk.retell.map_or(told_at, |at| at.min(told_at)));
                    }
                    continue;
                }
                if refusal.apply(&mut task, now) == Ok(true) {
                    tracing::debug!(task = %task.id, %refusal, "not assigned");
                    draft.tasks.insert(task.id.clone(), task);
                    draft.refused.push(Arc::clone(refusal));
                }
            }
            None => {}
        }
    }
}
