//! A task: `GET /tasks` (API v1.24 and up). One attempt to run one container of a service; it is
//! never used again: what follows it is another task in the same slot.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::meta::{Rest, is_default, or_default};
use crate::service::{GenericResource, PortConfig, TaskSpec};
use crate::{Id, Time, Version};

/// A task's states in their order: one only ever follows an earlier one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// It was made.
    #[default]
    New,
    /// It has what the cluster gives it; Docker's name for a state it no longer uses.
    Allocated,
    /// It waits for a node.
    Pending,
    /// It has a node.
    Assigned,
    /// The node knows of it.
    Accepted,
    /// The node gets the image and makes the container.
    Preparing,
    /// The container is made.
    Ready,
    /// The container is being started.
    Starting,
    /// It runs, and is healthy where that is looked at.
    Running,
    /// It ended well of itself.
    Complete,
    /// It was stopped.
    Shutdown,
    /// It ended badly.
    Failed,
    /// The node could not run it at all.
    Rejected,
    /// As a desired state: to be stopped and forgotten.
    Remove,
    /// Its node has been away too long for anyone to know.
    Orphaned,
}

impl TaskState {
    /// All, in their order.
    pub const ALL: [Self; 15] = [
        Self::New,
        Self::Allocated,
        Self::Pending,
        Self::Assigned,
        Self::Accepted,
        Self::Preparing,
        Self::Ready,
        Self::Starting,
        Self::Running,
        Self::Complete,
        Self::Shutdown,
        Self::Failed,
        Self::Rejected,
        Self::Remove,
        Self::Orphaned,
    ];

    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Allocated => "allocated",
            Self::Pending => "pending",
            Self::Assigned => "assigned",
            Self::Accepted => "accepted",
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Shutdown => "shutdown",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Remove => "remove",
            Self::Orphaned => "orphaned",
        }
    }

    /// Whether an observed state is an end: the container holds nothing any more.
    pub fn is_end(self) -> bool {
        self > Self::Running
    }
}

/// `Status.ContainerStatus`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerStatus {
    /// The engine's id of it.
    #[serde(rename = "ContainerID")]
    pub container_id: String,
    /// Its process, 0 when it does not run.
    #[serde(rename = "PID")]
    pub pid: i64,
    /// How it ended.
    pub exit_code: i64,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// `Status`: what is known of the task.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskStatus {
    /// Since when it is in this state.
    pub timestamp: Time,
    /// The observed state.
    pub state: TaskState,
    /// In words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What went wrong, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub err: String,
    /// The container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_status: Option<ContainerStatus>,
    /// Unknown fields, `PortStatus` among them.
    #[serde(flatten)]
    pub rest: Rest,
}

/// What a slot's next task must know of those before it, which history no longer holds. Not
/// Docker's: its managers keep this in memory and forget it with every change of leader.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Lineage {
    /// Its number among the tasks of its slot: their order, whatever leaders' clocks said.
    #[serde(skip_serializing_if = "is_default")]
    pub nth: u64,
    /// Not to be started before.
    #[serde(skip_serializing_if = "Time::is_never")]
    pub start_after: Time,
    /// When its manager heard that it runs. Unlike the status' timestamp, it is no node's clock.
    #[serde(skip_serializing_if = "Time::is_never")]
    pub running_since: Time,
    /// When its manager heard that it has ended.
    #[serde(skip_serializing_if = "Time::is_never")]
    pub ended_at: Time,
    /// Restarts in the slot since the spec was last changed.
    #[serde(skip_serializing_if = "is_default")]
    pub restarts: u64,
    /// When the last of them were; only as many as the policy counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<Time>,
    /// How many tasks in a row failed soon after their start.
    #[serde(skip_serializing_if = "is_default")]
    pub quick_failures: u32,
    /// It is to leave its node for another one, though nothing is wrong: somebody had services evened
    /// out.
    #[serde(skip_serializing_if = "is_default")]
    pub moves: bool,
}

/// What a task knows of its service: its container's name, labels and templates are made of it, on
/// nodes that never see the service. Not shown by Docker; its managers keep it beside the task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceAnnotations {
    /// The service's name.
    pub name: String,
    /// The service's labels when the task was made.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A task as the store keeps it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: Id,
    /// Guards its changes.
    pub version: Version,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Its labels.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// What it is; shared with the service and its other tasks.
    pub spec: Arc<TaskSpec>,
    /// Whose it is.
    #[serde(rename = "ServiceID")]
    pub service_id: Id,
    /// What it knows of its service.
    #[serde(skip_serializing_if = "is_default")]
    pub service_annotations: Arc<ServiceAnnotations>,
    /// Its place among the service's tasks: from 1, and from 0 in replicated jobs; 0 in global services.
    #[serde(skip_serializing_if = "is_default")]
    pub slot: u64,
    /// Where it is; empty before it is assigned, except in global services.
    #[serde(rename = "NodeID", skip_serializing_if = "str::is_empty")]
    pub node_id: Id,
    /// What is known of it.
    pub status: TaskStatus,
    /// What it is to be.
    pub desired_state: TaskState,
    /// Named resources it was given.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub generic_resources: Vec<GenericResource>,
    /// Which run of a job it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_iteration: Option<Version>,
    /// Ports it takes on its node; where `PublishedPort` is 0, the engine chooses. Not shown by Docker.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub host_ports: Vec<PortConfig>,
    /// See [`Lineage`].
    #[serde(skip_serializing_if = "is_default")]
    pub lineage: Lineage,
    /// Why it is on its node, in the scheduler's sentence, which its status soon forgets. Not shown by
    /// Docker.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub placed_because: String,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl Task {
    /// The name of its container, in Docker's form: service, slot (in global services the node), task.
    pub fn name(&self) -> String {
        let service = &self.service_annotations.name;
        format!("{service}.{}.{}", self.slot_or_node(), self.id)
    }

    /// Its slot's number; its node where that is 0, as in global services and for a job's first.
    pub fn slot_or_node(&self) -> String {
        if self.slot == 0 { self.node_id.to_string() } else { self.slot.to_string() }
    }

    /// Whether it is meant to run, or to run to its end.
    pub fn is_wanted(&self) -> bool {
        self.desired_state <= TaskState::Complete
    }

    /// Whether it may hold something on its node: it was assigned and has not ended.
    pub fn holds_node(&self) -> bool {
        self.status.state >= TaskState::Assigned && !self.status.state.is_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_written_as_it_was_read() {
        let answer = json!({
            "ID": "0kzzo1i0y4jz6027t0k7aezc7", "Version": {"Index": 71},
            "CreatedAt": "2024-06-07T21:07:31.171892745Z",
            "UpdatedAt": "2024-06-07T21:07:31.376370513Z",
            "Labels": {}, "Name": "x",
            "Spec": {"ContainerSpec": {"Image": "redis"}, "ForceUpdate": 3},
            "ServiceID": "9mnpnzenvg8p8tdbtq4wvbkcz", "Slot": 1,
            "NodeID": "60gvrl6tm78dmak4yl7srz94v",
            "Status": {"Timestamp": "2024-06-07T21:07:31.290032978Z", "State": "running",
                       "Message": "started", "PortStatus": {},
                       "ContainerStatus": {"ContainerID": "e5d6", "PID": 677, "ExitCode": 0}},
            "DesiredState": "running", "JobIteration": {"Index": 4},
            "NetworksAttachments": [{"Addresses": ["10.0.0.1/24"]}]
        });
        let task: Task = serde_json::from_value(answer.clone()).unwrap();
        assert_eq!(serde_json::to_value(&task).unwrap(), answer);
        assert!(task.holds_node() && task.is_wanted());
    }

    #[test]
    fn a_container_is_named_by_service_place_and_task() {
        let service = ServiceAnnotations { name: "web".into(), ..ServiceAnnotations::default() };
        let task = Task {
            id: Id::from("t"),
            service_annotations: Arc::new(service),
            node_id: Id::from("n"),
            ..Task::default()
        };
        assert_eq!(Task { slot: 3, ..task.clone() }.name(), "web.3.t");
        assert_eq!(task.name(), "web.n.t");
    }

    #[test]
    fn states_have_docker_s_words_and_order() {
        for (at, state) in TaskState::ALL.into_iter().enumerate() {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(state.is_end(), at > 8, "{state:?}");
        }
        assert!(TaskState::ALL.is_sorted());
    }
}
