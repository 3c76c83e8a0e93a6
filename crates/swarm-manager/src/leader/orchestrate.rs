//! One service's plan, carried into the draft; and the allocator's part, which has nothing to give
//! yet and so is done with the making of a task: it saves a write.

use rand::Rng;
use swarm_core::orchestrator::{Action, Plan, View, plan, plan_removed, roll_back};
use swarm_core::task::{Owner, desire, observe};
use swarm_model::task::TaskStatus;
use swarm_model::{Id, Service, Task, TaskState, Time};

use super::draft::Draft;
use crate::replica::Tables;

/// Docker's task history limit, where the swarm says nothing.
const HISTORY: usize = 5;

/// What is planned for.
#[derive(Debug)]
pub struct Subject<'a> {
    /// All objects.
    pub tables: &'a Tables,
    /// The service; it may be gone.
    pub service: &'a Id,
    /// The time.
    pub now: Time,
}

/// Plans for a service. How many tasks it has, and when it is to be planned for again.
pub fn service<R: Rng + ?Sized>(
    subject: &Subject<'_>,
    rng: &mut R,
    draft: &mut Draft,
) -> (usize, Option<Time>) {
    let Subject { tables, service: id, now } = *subject;
    let tasks: Vec<&Task> = tables.tasks_of_service(id).map(|task| &**task).collect();
    let limit = tables
        .cluster
        .as_ref()
        .map(|cluster| cluster.spec.orchestration.task_history_retention_limit);
    let history = limit.map_or(HISTORY, |limit| usize::try_from(limit).unwrap_or(0));
    let view = |service| View { service, tasks: &tasks, nodes: &tables.nodes, history };
    let plan = match tables.services.get(id) {
        Some(service) => plan(&view(service), now, rng),
        None if tasks.is_empty() => return (0, None),
        None => plan_removed(&view(&Service::default())),
    };
    tell(subject, &plan);
    carry(subject, &plan, draft);
    (tasks.len(), plan.wake)
}

/// Every step with its reason, for whoever looks closely; one line per plan for everybody else.
fn tell(subject: &Subject<'_>, plan: &Plan) {
    let Some(first) = plan.steps.first() else { return };
    let name = subject.tables.services.get(subject.service).map(|service| &*service.spec.name);
    let name = name.unwrap_or(subject.service);
    tracing::info!(service = name, steps = plan.steps.len(), first = %first, "a service is tended");
    for step in &plan.steps {
        tracing::debug!(service = name, "{step}");
    }
}

fn carry(subject: &Subject<'_>, plan: &Plan, draft: &mut Draft) {
    let Subject { tables, service: id, now } = *subject;
    for step in &plan.steps {
        match &step.action {
            Action::Create(task) => {
                let mut task = Task::clone(task);
                allocate(&mut task, now);
                draft.tasks.insert(task.id.clone(), task);
            }
            Action::Desire { task, state } => {
                if let Some(task) = draft.task(tables, task) {
                    desire(task, *state, now);
                }
            }
            Action::Orphan { task } => {
                if let Some(task) = draft.task(tables, task) {
                    orphan(task, &step.reason, now);
                }
            }
            Action::Delete { task } => draft.delete(tables, task),
            Action::Update(status) => {
                if let Some(service) = draft.service(tables, id) {
                    service.update_status = Some(status.clone());
                    service.updated_at = now;
                }
            }
            Action::RollBack(status) => {
                if let Some(service) = draft.service(tables, id) {
                    roll_back(service, status.clone(), now);
                }
            }
        }
    }
}

/// Gives a new task what the cluster gives. Whether it did.
pub fn allocate(task: &mut Task, now: Time) -> bool {
    let status = TaskStatus {
        timestamp: now,
        state: TaskState::Pending,
        message: "pending task scheduling".to_owned(),
        ..TaskStatus::default()
    };
    observe(task, Owner::Allocator, status, now) == Ok(true)
}

/// Writes that nobody will ever know how a task ended. Whether it did.
pub fn orphan(task: &mut Task, reason: &str, now: Time) -> bool {
    let status = TaskStatus {
        timestamp: now,
        state: TaskState::Orphaned,
        message: reason.to_owned(),
        ..TaskStatus::default()
    };
    observe(task, Owner::Reaper, status, now) == Ok(true)
}
