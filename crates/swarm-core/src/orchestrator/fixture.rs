//! A small cluster for the orchestrators' tests: nodes, one service, its tasks, and a clock that is
//! moved by hand. Whatever is wanted starts and stops at once, unless a test says otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use swarm_model::service::UpdateState;
use swarm_model::task::TaskStatus;
use swarm_model::{Id, Node, Service, Task, TaskState, Time};

use super::{Action, Plan, View, plan, roll_back};
use crate::scheduler::{Board, assign};
use crate::task::{Owner, desire, observe};

pub const SECOND: i64 = 1_000_000_000;

pub struct World {
    pub service: Service,
    pub tasks: BTreeMap<Id, Task>,
    pub nodes: BTreeMap<Id, Arc<Node>>,
    pub now: Time,
    pub rng: StdRng,
    /// Images whose containers fail as soon as they are started.
    pub bad: &'static str,
    /// Images whose containers end well as soon as they are started.
    pub brief: &'static str,
    /// Nodes whose agents do nothing.
    pub frozen: Vec<&'static str>,
}

/// A world with a service of this spec, and nodes `a`, `b`, `c`.
pub fn world(spec: Value) -> World {
    let mut body = json!({"Name": "s", "TaskTemplate": {"ContainerSpec": {"Image": "one"}}});
    merge(&mut body, spec);
    let service = Service {
        id: Id::from("s"),
        spec: serde_json::from_value(body).unwrap(),
        ..Service::default()
    };
    let node = |name: &str| {
        let body = json!({"ID": name, "Status": {"State": "ready"},
            "Description": {"Hostname": name}, "Spec": {"Availability": "active"}});
        (Id::from(name), Arc::new(serde_json::from_value::<Node>(body).unwrap()))
    };
    World {
        service,
        tasks: BTreeMap::new(),
        nodes: ["a", "b", "c"].map(node).into(),
        now: Time(SECOND),
        rng: StdRng::seed_from_u64(7),
        bad: "bad",
        brief: "brief",
        frozen: Vec::new(),
    }
}

pub fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}

impl World {
    /// Changes the spec as `POST /services/{id}/update` does.
    pub fn update(&mut self, change: Value) {
        let mut body = serde_json::to_value(&self.service.spec).unwrap();
        merge(&mut body, change);
        let old = std::mem::replace(&mut self.service.spec, serde_json::from_value(body).unwrap());
        self.service.previous_spec = Some(Box::new(old));
        self.service.update_status = None;
    }

    pub fn node(&mut self, name: &str, change: Value) {
        let node = self.nodes.get_mut(name).unwrap();
        let mut body = serde_json::to_value(&**node).unwrap();
        merge(&mut body, change);
        *node = Arc::new(serde_json::from_value(body).unwrap());
    }

    pub fn plan(&mut self) -> Plan {
        let tasks: Vec<&Task> = self.tasks.values().collect();
        let view = View { service: &self.service, tasks: &tasks, nodes: &self.nodes, history: 5 };
        plan(&view, self.now, &mut self.rng)
    }

    pub fn apply(&mut self, plan: &Plan) {
        for step in &plan.steps {
            match step.action.clone() {
                Action::Create(task) => {
                    assert!(self.tasks.insert(task.id.clone(), *task).is_none());
                }
                Action::Desire { task, state } => {
                    assert!(desire(self.tasks.get_mut(&task).unwrap(), state, self.now));
                }
                Action::Orphan { task } => {
                    self.observed(&task, Owner::Reaper, TaskState::Orphaned);
                }
                Action::Delete { task } => assert!(self.tasks.remove(&task).is_some()),
                Action::Update(status) => self.service.update_status = Some(status),
                Action::RollBack(status) => roll_back(&mut self.service, status, self.now),
            }
        }
    }

    pub fn observed(&mut self, task: &str, owner: Owner, state: TaskState) {
        let status = TaskStatus { state, timestamp: self.now, ..TaskStatus::default() };
        observe(self.tasks.get_mut(task).unwrap(), owner, status, self.now).unwrap();
    }

    /// Plans, and lets allocator, scheduler and agents do what they are to do, once.
    pub fn turn(&mut self) -> Plan {
        let plan = self.plan();
        self.apply(&plan);
        for task in self.tasks.values().cloned().collect::<Vec<_>>() {
            if task.status.state == TaskState::New {
                self.observed(&task.id, Owner::Allocator, TaskState::Pending);
            }
        }
        let pending: Vec<Task> = self
            .tasks
            .values()
            .filter(|task| task.status.state == TaskState::Pending && task.is_wanted())
            .cloned()
            .collect();
        let mut board = Board::new(self.nodes.values().cloned(), self.tasks.values());
        let pending: Vec<&Task> = pending.iter().collect();
        for (id, outcome) in assign(&mut board, &pending, self.now, &mut self.rng) {
            if let Ok(assignment) = outcome {
                assignment.apply(self.tasks.get_mut(&id).unwrap(), self.now).unwrap();
            }
        }
        for task in self.tasks.values().cloned().collect::<Vec<_>>() {
            let node = self.nodes.get(&task.node_id);
            let up =
                node.is_some_and(|node| node.status.state != swarm_model::node::NodeState::Down);
            if up && task.holds_node() && !self.frozen.contains(&&*task.node_id) {
                self.agent(&task);
            }
        }
        plan
    }

    fn agent(&mut self, task: &Task) {
        let state = task.status.state;
        let image = &task.spec.container_spec.as_ref().unwrap().image;
        if !task.is_wanted() {
            self.observed(&task.id, Owner::Agent, TaskState::Shutdown);
        } else if task.desired_state == TaskState::Ready {
            if state < TaskState::Ready {
                self.observed(&task.id, Owner::Agent, TaskState::Ready);
            }
        } else if state < TaskState::Running {
            self.observed(&task.id, Owner::Agent, TaskState::Running);
            if *image == self.bad {
                self.observed(&task.id, Owner::Agent, TaskState::Failed);
            } else if *image == self.brief {
                self.observed(&task.id, Owner::Agent, TaskState::Complete);
            }
        }
    }

    /// Turns until nothing is planned, without time passing.
    pub fn settle(&mut self) {
        for _ in 0..100 {
            if self.turn().steps.is_empty() && self.plan().steps.is_empty() {
                return;
            }
        }
        panic!("it does not come to rest: {:#?}", self.plan().steps);
    }

    /// Lets time pass, second by second.
    pub fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now = self.now.plus(SECOND);
            self.settle();
        }
    }

    pub fn running(&self) -> Vec<&Task> {
        let runs = |task: &&Task| task.is_wanted() && task.status.state == TaskState::Running;
        self.tasks.values().filter(runs).collect()
    }

    pub fn with_image(&self, image: &str) -> usize {
        let has = |task: &&&Task| task.spec.container_spec.as_ref().unwrap().image == image;
        self.running().iter().filter(has).count()
    }

    pub fn on(&self, node: &str) -> usize {
        self.running().iter().filter(|task| &*task.node_id == node).count()
    }

    pub fn state(&self) -> Option<(UpdateState, &str)> {
        self.service.update_status.as_ref().map(|status| (status.state, status.message.as_str()))
    }
}
