//! A node: its agent and what it runs. It does what the store says while it is linked, and goes on
//! with what it knows while it is not.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::StdRng;
use swarm_model::{Id, Task, TaskState};

use super::cluster::Millis;

/// A container.
#[derive(Debug, Clone)]
pub struct Container {
    /// The task as it was last heard of.
    pub task: Task,
    /// Where it is.
    pub state: TaskState,
    /// When it gets further.
    next: Millis,
    /// When it ends of itself.
    pub ends: Option<(Millis, TaskState)>,
}

/// A node.
#[derive(Debug)]
pub struct Agent {
    /// Its id.
    pub id: Id,
    /// Whether it has power.
    pub on: bool,
    /// Whether it and the managers hear each other.
    pub linked: bool,
    /// How many times slower than it should be.
    pub slow: i64,
    /// How wrong its clock is.
    pub skew: Millis,
    /// When it has power, or a link, again.
    pub back_at: Millis,
    /// Since when managers have been able to hear of it.
    pub heard_since: Millis,
    /// What it runs, by task.
    pub containers: BTreeMap<Id, Container>,
}

impl Container {
    /// Whether the process is there.
    pub fn runs(&self) -> bool {
        matches!(self.state, TaskState::Starting | TaskState::Running)
    }
}

impl Agent {
    /// A fresh one.
    pub fn new(id: Id) -> Self {
        Self {
            id,
            on: true,
            linked: true,
            slow: 1,
            skew: 0,
            back_at: 0,
            heard_since: 0,
            containers: BTreeMap::new(),
        }
    }

    /// Whether managers hear of it.
    pub fn is_heard(&self) -> bool {
        self.on && self.linked
    }

    /// Takes over what the store wants of it. Tasks that it should know and does not were lost with
    /// its power.
    pub fn listen<'a>(&mut self, tasks: impl Iterator<Item = &'a Task>, now: Millis) {
        let mut known = Vec::new();
        for task in tasks.filter(|task| task.node_id == self.id && task.holds_node()) {
            known.push(task.id.clone());
            let is_new = task.status.state == TaskState::Assigned;
            let container = self.containers.entry(task.id.clone()).or_insert_with(|| Container {
                task: task.clone(),
                state: if is_new { TaskState::Assigned } else { TaskState::Failed },
                next: now,
                ends: None,
            });
            container.task = task.clone();
        }
        self.containers.retain(|id, _| known.contains(id));
    }

    /// Gets on. Returns the tasks whose processes were started.
    pub fn work(&mut self, now: Millis, rng: &mut StdRng) -> Vec<Id> {
        let mut started = Vec::new();
        for (id, container) in &mut self.containers {
            if container.state.is_end() {
                continue;
            }
            if let Some((_, state)) = container.ends.filter(|(at, _)| *at <= now) {
                container.state = state;
                continue;
            }
            if container.next > now {
                continue;
            }
            container.next = now + rng.random_range(0..400) * self.slow;
            let stop = !container.task.is_wanted();
            let run = container.task.desired_state >= TaskState::Running;
            container.state = match container.state {
                _ if stop => TaskState::Shutdown,
                TaskState::Assigned => TaskState::Accepted,
                TaskState::Accepted => TaskState::Preparing,
                TaskState::Preparing => TaskState::Ready,
                TaskState::Ready if run => {
                    started.push(id.clone());
                    TaskState::Starting
                }
                TaskState::Starting => {
                    let image = super::scene::image(&container.task);
                    container.ends = match image {
                        "bad" => Some((now + 300, TaskState::Failed)),
                        "job" => Some((now + 2_000, TaskState::Complete)),
                        _ => container.ends,
                    };
                    TaskState::Running
                }
                state => state,
            };
        }
        started
    }
}
