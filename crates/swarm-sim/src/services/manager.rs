//! The leader: heartbeats, allocator, orchestrators, scheduler, each run when something it cares about
//! has changed or a plan's moment has come. There is no pass by period: what only that would mend is
//! to be seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use swarm_core::orchestrator::{Action, Plan, View, plan, plan_removed, roll_back};
use swarm_core::scheduler::{Board, assign};
use swarm_core::task::{Owner, desire, observe};
use swarm_model::node::NodeState;
use swarm_model::task::TaskStatus;
use swarm_model::{Id, Node, Service, Task, TaskState, Time};

use super::bug::Bug;
use super::check::{Breach, doubles, parallelism};
use super::cluster::{Cluster, Millis, clock};
use super::store::Store;

/// A node that is silent for this long is down.
const SILENT: Millis = 3_000;

/// Docker's task history limit.
const HISTORY: usize = 5;

/// What a leader has in memory.
#[derive(Debug, Default)]
pub struct Manager {
    /// How wrong its clock is.
    pub skew: Millis,
    /// It does nothing before.
    pub stalled_until: Millis,
    seen: BTreeMap<Id, Millis>,
    board: Option<Board>,
    wakes: BTreeMap<Id, Time>,
}

impl Manager {
    /// Whether it does anything now.
    pub fn leads(&self, now: Millis) -> bool {
        now >= self.stalled_until
    }

    /// Its time: its clock's, or the newest that any leader wrote.
    pub fn clock(&self, now: Millis, store: &Store) -> Time {
        clock(now, self.skew).max(store.newest)
    }

    /// It stalls; what it does not hear meanwhile is not the nodes' silence.
    pub fn stall(&mut self, until: Millis) {
        self.stalled_until = until;
        self.seen.clear();
    }
}

/// Another manager leads. It knows the store, and no node.
pub fn lead_anew(cluster: &mut Cluster, skew: Millis) {
    cluster.manager = Manager { skew, ..Manager::default() };
    let nodes: Vec<_> = cluster.store.nodes.values().cloned().collect();
    for node in nodes.into_iter().filter(|node| node.status.state == NodeState::Ready) {
        set_state(cluster, &node, NodeState::Unknown);
    }
    cluster.store.all_dirty();
}

/// Does all there is to do now.
pub fn act(cluster: &mut Cluster) -> Result<(), Breach> {
    heartbeats(cluster);
    let now = cluster.manager.clock(cluster.now, &cluster.store);
    let due = cluster.manager.wakes.iter().filter(|(_, at)| **at <= now);
    let due: Vec<Id> = due.map(|(id, _)| id.clone()).collect();
    if cluster.bug != Some(Bug::NeverWake) {
        cluster.store.dirty.extend(due);
    }
    for _ in 0..50 {
        if cluster.store.dirty.is_empty() {
            return Ok(());
        }
        for id in std::mem::take(&mut cluster.store.dirty) {
            orchestrate(cluster, &id, now)?;
        }
        allocate(cluster, now)?;
        schedule(cluster, now)?;
    }
    // A plan that is never satisfied is found by the checker of silence.
    Ok(())
}

fn set_state(cluster: &mut Cluster, node: &Arc<Node>, state: NodeState) {
    let mut node = Node::clone(node);
    node.status.state = state;
    cluster.note(|| format!("{} is {state:?}", node.id));
    cluster.store.write_node(node);
}

fn heartbeats(cluster: &mut Cluster) {
    let now = cluster.now;
    for at in 0..cluster.agents.len() {
        let agent = &cluster.agents[at];
        let Some(node) = cluster.store.nodes.get(&agent.id).cloned() else { continue };
        let seen = cluster.manager.seen.entry(agent.id.clone()).or_insert(now);
        if agent.is_heard() {
            *seen = now;
            if node.status.state != NodeState::Ready {
                set_state(cluster, &node, NodeState::Ready);
            }
        } else if now - *seen >= SILENT
            && node.status.state != NodeState::Down
            && cluster.bug != Some(Bug::NeverDown)
        {
            set_state(cluster, &node, NodeState::Down);
        }
    }
}

fn orchestrate(cluster: &mut Cluster, id: &Id, now: Time) -> Result<(), Breach> {
    let tasks: Vec<Task> =
        cluster.store.tasks.values().filter(|task| task.service_id == *id).cloned().collect();
    let tasks: Vec<&Task> = tasks.iter().collect();
    let service = cluster.store.services.get(id).cloned();
    let gone = Service::default();
    let mut seen = service.clone().unwrap_or(gone);
    if let Some(config) = &mut seen.spec.update_config
        && cluster.bug == Some(Bug::UpdateAll)
    {
        config.parallelism = 0;
    }
    let nodes = cluster.store.nodes.clone();
    let view = View { service: &seen, tasks: &tasks, nodes: &nodes, history: HISTORY };
    let plan = match &service {
        Some(_) => plan(&view, now, &mut cluster.rng),
        None => plan_removed(&view),
    };
    match plan.wake {
        Some(at) => cluster.manager.wakes.insert(id.clone(), at),
        None => cluster.manager.wakes.remove(id),
    };
    if let Some(service) = &service {
        parallelism::planned(cluster, service, &tasks, &plan)?;
    }
    write(cluster, service, &plan, now)
}

fn write(
    cluster: &mut Cluster,
    service: Option<Service>,
    plan: &Plan,
    now: Time,
) -> Result<(), Breach> {
    let mut service = service;
    for step in &plan.steps {
        cluster.note(|| step.to_string());
        match &step.action {
            Action::Create(task) => {
                let mut task = Task::clone(task);
                if let Some(service) = &service {
                    doubles::made(cluster, service, &task.id);
                }
                if cluster.bug == Some(Bug::StartAtOnce) && task.desired_state == TaskState::Ready {
                    task.desired_state = TaskState::Running;
                }
                cluster.store.write(Owner::Orchestrator, task)?;
            }
            Action::Desire { task, state } => {
                if let Some(mut task) = cluster.store.tasks.get(task).cloned()
                    && desire(&mut task, *state, now)
                {
                    if cluster.bug == Some(Bug::SpeakForNode) && is_down(cluster, &task.node_id) {
                        task.status.state = TaskState::Failed;
                    }
                    cluster.store.write(Owner::Orchestrator, task)?;
                }
            }
            Action::Orphan { task } => {
                if let Some(mut task) = cluster.store.tasks.get(task).cloned() {
                    let state = TaskState::Orphaned;
                    let status = TaskStatus { state, timestamp: now, ..TaskStatus::default() };
                    if observe(&mut task, Owner::Reaper, status, now) == Ok(true) {
                        cluster.store.write(Owner::Reaper, task)?;
                    }
                }
            }
            Action::Delete { task } => cluster.store.delete(task),
            Action::Update(status) => {
                if let Some(service) = &mut service {
                    service.update_status = Some(status.clone());
                    cluster.store.write_service(service.clone());
                }
            }
            Action::RollBack(status) => {
                if let Some(service) = &mut service {
                    roll_back(service, status.clone(), now);
                    cluster.store.write_service(service.clone());
                }
            }
        }
    }
    Ok(())
}

fn is_down(cluster: &Cluster, node: &Id) -> bool {
    cluster.store.nodes.get(node).is_some_and(|node| node.status.state == NodeState::Down)
}

fn allocate(cluster: &mut Cluster, now: Time) -> Result<(), Breach> {
    let new = cluster.store.tasks.values().filter(|task| task.status.state == TaskState::New);
    for mut task in new.cloned().collect::<Vec<_>>() {
        let state = TaskState::Pending;
        let status = TaskStatus { state, timestamp: now, ..TaskStatus::default() };
        if observe(&mut task, Owner::Allocator, status, now) == Ok(true) {
            cluster.store.write(Owner::Allocator, task)?;
        }
    }
    Ok(())
}

fn schedule(cluster: &mut Cluster, now: Time) -> Result<(), Breach> {
    let store = &mut cluster.store;
    let board = cluster
        .manager
        .board
        .get_or_insert_with(|| Board::new(store.nodes.values().cloned(), store.tasks.values()));
    for id in std::mem::take(&mut store.changed_nodes) {
        match store.nodes.get(&id) {
            Some(node) => board.set_node(Arc::clone(node)),
            None => board.remove_node(&id),
        }
    }
    for id in std::mem::take(&mut store.changed) {
        match store.tasks.get(&id) {
            Some(task) if cluster.bug == Some(Bug::FreeTooEarly) && !task.is_wanted() => {
                board.remove_task(&id);
            }
            Some(task) => board.set_task(task),
            None => {
                board.remove_task(&id);
            }
        }
    }
    let pending = |task: &&Task| task.status.state == TaskState::Pending && task.is_wanted();
    let pending: Vec<Task> = store.tasks.values().filter(pending).cloned().collect();
    let tasks: Vec<&Task> = pending.iter().collect();
    let outcomes = assign(board, &tasks, now, &mut cluster.rng);
    for (id, outcome) in outcomes {
        let Some(mut task) = cluster.store.tasks.get(&id).cloned() else { continue };
        let is_news = match outcome {
            Ok(assignment) => assignment.apply(&mut task, now).map(|()| true),
            Err(refusal) => refusal.apply(&mut task, now),
        };
        if is_news == Ok(true) || cluster.bug == Some(Bug::Restless) {
            let words = &task.status;
            cluster.note(|| {
                format!("{id} is {}: {}{}", words.state.as_str(), words.message, words.err)
            });
            cluster.store.write(Owner::Scheduler, task)?;
        }
    }
    Ok(())
}
