//! What a plan is made from, and what it answers: steps, each with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use rand::Rng;
use swarm_model::service::UpdateStatus;
use swarm_model::task::{Lineage, ServiceAnnotations, TaskStatus};
use swarm_model::{Id, Node, Service, Task, TaskState, Time};

/// The part of the store that one service's plan needs.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The service.
    pub service: &'a Service,
    /// All its tasks, in any order.
    pub tasks: &'a [&'a Task],
    /// All nodes.
    pub nodes: &'a BTreeMap<Id, Arc<Node>>,
    /// How many tasks a slot keeps, the one that runs included (Docker's task history limit).
    pub history: usize,
}

/// One change of the store.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Add this task.
    Create(Box<Task>),
    /// Raise a task's desired state.
    Desire {
        /// Which.
        task: Id,
        /// To what.
        state: TaskState,
    },
    /// Write that nobody will ever know how it ended.
    Orphan {
        /// Which.
        task: Id,
    },
    /// Take a task out of the store.
    Delete {
        /// Which.
        task: Id,
    },
    /// Write the service's update status.
    Update(UpdateStatus),
    /// Go back to the spec before ([`super::roll_back`]).
    RollBack(UpdateStatus),
}

/// A change and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What to write.
    pub action: Action,
    /// Why, in words for people: for the event and the log.
    pub reason: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Create(task) => write!(f, "create {} (slot {})", task.id, task.slot)?,
            Action::Desire { task, state } => write!(f, "{} is to be {}", task, state.as_str())?,
            Action::Orphan { task } => write!(f, "{task} is orphaned")?,
            Action::Delete { task } => write!(f, "delete {task}")?,
            Action::Update(status) | Action::RollBack(status) => f.write_str(&status.message)?,
        }
        write!(f, ": {}", self.reason)
    }
}

/// What to do now, in one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// Ask again at this moment even though nothing happened.
    pub wake: Option<Time>,
    /// Tasks that a step of this plan ends already.
    ended: BTreeSet<Id>,
    /// Where this plan makes a task.
    made: BTreeSet<Place>,
}

impl Plan {
    /// Adds a step.
    pub(super) fn step(&mut self, action: Action, reason: impl Into<String>) {
        self.steps.push(Step { action, reason: reason.into() });
    }

    /// Raises a task's desired state, where that is news.
    pub(super) fn desire(&mut self, task: &Task, state: TaskState, reason: impl Into<String>) {
        if state > TaskState::Complete && !self.ended.insert(task.id.clone()) {
            return;
        }
        if task.desired_state < state {
            self.step(Action::Desire { task: task.id.clone(), state }, reason);
        }
    }

    /// Whether the task is wanted after this plan.
    pub(super) fn wants(&self, task: &Task) -> bool {
        task.is_wanted() && !self.ended.contains(&task.id)
    }

    /// Whether this plan makes a task there.
    pub(super) fn makes(&self, place: &Place) -> bool {
        self.made.contains(place)
    }

    /// Asks to be asked again at `at`, or earlier.
    pub(super) fn wake_at(&mut self, at: Time) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// Makes a task.
    pub(super) fn create<R: Rng + ?Sized>(
        &mut self,
        service: &Service,
        place: Place,
        start: Start,
        (now, rng): (Time, &mut R),
        reason: impl Into<String>,
    ) {
        self.made.insert(place.clone());
        let (slot, node_id) = match place {
            Place::Slot(slot) => (slot, Id::default()),
            Place::Node(node) => (0, node),
        };
        let is_job = service.spec.mode.decided().is_job();
        let running = if is_job { TaskState::Complete } else { TaskState::Running };
        let task = Task {
            id: Id::from_bits(rng.random()),
            created_at: now,
            updated_at: now,
            spec: Arc::clone(&service.spec.task_template),
            service_id: service.id.clone(),
            service_annotations: Arc::new(ServiceAnnotations {
                name: service.spec.name.clone(),
                labels: service.spec.labels.clone(),
            }),
            slot,
            node_id,
            status: TaskStatus {
                timestamp: now,
                state: TaskState::New,
                message: "created".to_owned(),
                ..TaskStatus::default()
            },
            desired_state: if start.waits { TaskState::Ready } else { running },
            job_iteration: is_job
                .then(|| service.job_status.clone().unwrap_or_default().job_iteration),
            host_ports: service.spec.host_ports(),
            lineage: start.lineage,
            ..Task::default()
        };
        self.step(Action::Create(Box::new(task)), reason);
    }
}

/// Where a new task goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A slot of a replicated service.
    Slot(u64),
    /// A global service's node.
    Node(Id),
}

/// How a new task begins.
#[derive(Debug, Clone, Default)]
pub(super) struct Start {
    /// It is made ready, and started when what was before it has ended and its time has come.
    pub waits: bool,
    pub lineage: Lineage,
}
