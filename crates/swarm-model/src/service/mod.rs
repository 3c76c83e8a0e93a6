//! A service: `GET /services` (API v1.24 and up). Docker's JSON shape; what Docker sends and this
//! crate does not know is kept.
//!
//! Reading order: [`mode`], [`template`] with [`resources`], [`restart`] and [`placement`],
//! [`update`], [`endpoint`]; [`constraint`] is the language of placement, [`host`] what Docker's
//! services cannot ask for, [`validate`] what Docker refuses.

pub mod constraint;
pub mod endpoint;
pub mod host;
pub mod mode;
pub mod placement;
pub mod resources;
pub mod restart;
pub mod template;
pub mod update;
pub mod validate;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::meta::{Rest, or_default};
use crate::{Id, Time, Version};

pub use endpoint::{EndpointSpec, PortConfig, Protocol, PublishMode, Resolution};
pub use mode::{Mode, Replicated, ReplicatedJob, ServiceMode};
pub use placement::{Placement, Platform, Preference, Spread};
pub use resources::{Discrete, GenericResource, Limit, Named, ResourceRequirements, Resources};
pub use restart::{Condition, RestartPolicy};
pub use template::{ContainerSpec, Mount, TaskSpec};
pub use update::{FailureAction, Order, UpdateConfig, UpdateState, UpdateStatus};

/// Of a service's spec, kept and never shown: the id of the swarm's network that the engine's network in
/// `Networks[].Target` stands for.
pub const STANDS_FOR: &str = "StandsFor";

/// What a person wants: the body of `POST /services/create` and `/update`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceSpec {
    /// Unique in the cluster.
    pub name: String,
    /// For people and tools.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// What one task is; its tasks share it.
    pub task_template: Arc<TaskSpec>,
    /// How many.
    pub mode: ServiceMode,
    /// How a change is brought in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_config: Option<UpdateConfig>,
    /// How a change is taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_config: Option<UpdateConfig>,
    /// Published ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_spec: Option<EndpointSpec>,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl ServiceSpec {
    /// The host-mode ports that each of its tasks takes.
    pub fn host_ports(&self) -> Vec<PortConfig> {
        self.endpoint_spec.iter().flat_map(EndpointSpec::host_ports).cloned().collect()
    }
}

/// `JobStatus` of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobStatus {
    /// Which run of the job its tasks belong to; it rises with each update.
    pub job_iteration: Version,
    /// When that run was begun.
    #[serde(skip_serializing_if = "Time::is_never")]
    pub last_execution: Time,
}

/// A service as the store keeps it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Service {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: Id,
    /// Guards its changes.
    pub version: Version,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// What is wanted.
    pub spec: ServiceSpec,
    /// What was wanted before the last update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_spec: Option<Box<ServiceSpec>>,
    /// The last update; whoever changes the spec takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_status: Option<UpdateStatus>,
    /// A job's run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_status: Option<JobStatus>,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

#[cfg(test)]
mod tests;
