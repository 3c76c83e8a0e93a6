//! The decision: tasks that ask for the same are placed together, with one pass over the nodes.

use std::collections::HashMap;
use std::sync::Arc;

use rand::Rng;
use swarm_model::service::GenericResource;
use swarm_model::task::TaskStatus;
use swarm_model::{Id, Task, TaskState, Time};

use super::board::Board;
use super::refusal::{Filter, Refusal};
use super::room::Rules;
use super::tree::{Branch, Candidate, Label};
use crate::task::{Forbidden, Owner, observe};

/// Where a task goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The node.
    pub node: Id,
    /// Which generic resources it gets there.
    pub given: Vec<GenericResource>,
    /// Why, in one sentence; it becomes the task's message.
    pub reason: String,
}

impl Assignment {
    /// Writes it into the task.
    pub fn apply(&self, task: &mut Task, now: Time) -> Result<(), Forbidden> {
        let status = TaskStatus {
            timestamp: now,
            state: TaskState::Assigned,
            message: self.reason.clone(),
            ..TaskStatus::default()
        };
        observe(task, Owner::Scheduler, status, now)?;
        task.node_id = self.node.clone();
        task.placed_because.clone_from(&self.reason);
        task.generic_resources.clone_from(&self.given);
        Ok(())
    }
}

impl Refusal {
    /// Writes it into a task that stays pending. Whether that is news.
    pub fn apply(&self, task: &mut Task, now: Time) -> Result<bool, Forbidden> {
        let err = self.to_string();
        if task.status.err == err {
            return Ok(false);
        }
        let status = TaskStatus { err, timestamp: now, ..task.status.clone() };
        observe(task, Owner::Scheduler, status, now)
    }
}

/// Finds nodes for pending tasks, in the order of `tasks` as far as they ask for the same.
///
/// The board then counts what was assigned as held; whoever cannot write it tells the board of the
/// task as it is. A task that has a node already (a global service's) is only checked against it.
pub fn assign<R: Rng + ?Sized>(
    board: &mut Board,
    tasks: &[&Task],
    now: Time,
    rng: &mut R,
) -> Vec<(Id, Result<Assignment, Arc<Refusal>>)> {
    let mut groups: Vec<Vec<&Task>> = Vec::new();
    let mut known: HashMap<&Id, Vec<usize>> = HashMap::new();
    for &task in tasks {
        let own = known.entry(&task.service_id).or_default();
        if let Some(&at) = own.iter().find(|&&at| alike(groups[at][0], task)) {
            groups[at].push(task);
        } else {
            own.push(groups.len());
            groups.push(vec![task]);
        }
    }
    let mut outcomes = Vec::with_capacity(tasks.len());
    for group in groups {
        let (bound, free): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|task| !task.node_id.is_empty());
        let rules = bound.first().or(free.first()).map(|task| Rules::new(task));
        let Some(rules) = rules else { continue };
        for task in bound {
            outcomes.push((task.id.clone(), check(board, &rules, task)));
        }
        if !free.is_empty() {
            place(board, &rules, &free, now, rng, &mut outcomes);
        }
    }
    outcomes
}

fn alike(a: &Task, b: &Task) -> bool {
    (Arc::ptr_eq(&a.spec, &b.spec) || a.spec == b.spec) && a.host_ports == b.host_ports
}

fn check(board: &mut Board, rules: &Rules, task: &Task) -> Result<Assignment, Arc<Refusal>> {
    let index = board.find(&task.node_id);
    let refused = match index {
        Some(index) => rules.refused_by(&board.nodes[index], board.share(&task.service_id, index)),
        None => Some(Filter::Ready),
    };
    match (index, refused) {
        (Some(index), None) => {
            let reason = format!(
                "the service runs on every node, {} is one",
                board.nodes[index].node.name()
            );
            Ok(take(board, rules, task, index, reason))
        }
        (_, refused) => Err(Arc::new(Refusal::count(refused))),
    }
}

fn place<R: Rng + ?Sized>(
    board: &mut Board,
    rules: &Rules,
    tasks: &[&Task],
    now: Time,
    rng: &mut R,
    outcomes: &mut Vec<(Id, Result<Assignment, Arc<Refusal>>)>,
) {
    let first = tasks[0];
    let service = &first.service_id;
    board.forget_failures(service, &first.spec, now);
    let candidates = candidates(board, rules, service, rng);
    let suitable = candidates.len();
    let labels = Label::all(first.spec.placement.as_ref());
    let mut tree = Branch::grow(candidates, &labels, &|index| &*board.nodes[index].node);
    let mut left = tasks.iter();
    for task in left.by_ref() {
        let Some(mut best) = tree.take() else {
            let refusal = Arc::new(refusal(board, rules, service));
            outcomes.push((task.id.clone(), Err(Arc::clone(&refusal))));
            outcomes.extend(left.by_ref().map(|task| (task.id.clone(), Err(Arc::clone(&refusal)))));
            return;
        };
        let reason = reason(board, best, suitable, &labels);
        let assignment = take(board, rules, task, best.index, reason);
        outcomes.push((task.id.clone(), Ok(assignment)));
        (best.share, best.tasks) = (best.share + 1, best.tasks + 1);
        let load = &board.nodes[best.index];
        if !rules.is_full(load, best.share) {
            tree.put(best, &labels, &load.node);
        }
    }
}

fn candidates<R: Rng + ?Sized>(
    board: &Board,
    rules: &Rules,
    service: &Id,
    rng: &mut R,
) -> Vec<Candidate> {
    // Most services are on few nodes: without this, each node would cost a look-up.
    let known = board.services.contains_key(service);
    let mut found = Vec::new();
    for (index, load) in board.nodes.iter().enumerate() {
        let share = if known { board.share(service, index) } else { 0 };
        if rules.refused_by(load, share).is_none() {
            let failures = if known { board.failures(service, index) } else { 0 };
            let draw = rng.random();
            found.push(Candidate { failures, share, tasks: load.tasks, draw, index });
        }
    }
    found
}

fn refusal(board: &Board, rules: &Rules, service: &Id) -> Refusal {
    let nodes = board.nodes.iter().enumerate().filter(|(_, load)| load.present);
    Refusal::count(
        nodes.filter_map(|(index, load)| rules.refused_by(load, board.share(service, index))),
    )
}

fn take(board: &mut Board, rules: &Rules, task: &Task, index: usize, reason: String) -> Assignment {
    let load = &board.nodes[index];
    let given = rules.reservations().map(|wanted| load.left.choose(wanted)).unwrap_or_default();
    let node = load.node.id.clone();
    board.reserve(task, index, given.clone());
    Assignment { node, given, reason }
}

fn reason(board: &Board, best: Candidate, suitable: usize, labels: &[Label<'_>]) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "scheduler assigned task to {}: it has {} of the service's tasks and {} in all, the fewest \
         of {suitable} suitable node{}",
        board.nodes[best.index].node.name(),
        best.share,
        best.tasks,
        if suitable == 1 { "" } else { "s" },
    );
    for label in labels {
        let (kind, label_name) = match label {
            Label::Node(name) => ("node", name),
            Label::Engine(name) => ("engine", name),
        };
        let value = label.of(&board.nodes[best.index].node);
        // Writing to a text cannot fail.
        let _ = write!(text, ", spread over {kind}.labels.{label_name} ({value:?})");
    }
    if best.failures > 0 {
        let _ =
            write!(text, "; it failed there {} times of late, and elsewhere too", best.failures);
    }
    text
}
