//! `TaskTemplate`: what one task of a service is. The container's own part is kept whole beside the
//! few fields that decisions need: it is the executor's to read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::host::Asks;
use super::placement::Placement;
use super::resources::{ResourceRequirements, Resources};
use super::restart::{Condition, RestartPolicy};
use crate::meta::{Rest, is_default, or_default};

/// Of a container, kept and never shown: `{"RegistryAuth": …}`, the value of `X-Registry-Auth` with
/// which its image is pulled.
pub const PULL_OPTIONS: &str = "PullOptions";

/// `TaskTemplate`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskSpec {
    /// The container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_spec: Option<ContainerSpec>,
    /// Limits and reservations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// What follows a task's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Raised to have every task replaced though nothing differs.
    pub force_update: u64,
    /// `container` or empty; others are refused.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub runtime: String,
    /// What it asks of its host beyond Docker's; of the service's labels, kept and never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Asks>,
    /// Unknown fields: `Networks`, `LogDriver` and what is to come.
    #[serde(flatten)]
    pub rest: Rest,
}

/// `ContainerSpec`: the image, and everything else as it was sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerSpec {
    /// The image's reference.
    pub image: String,
    /// What is mounted.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A mount, of which the target and the volume's driver are looked at.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Mount {
    /// Where in the container.
    #[serde(skip_serializing_if = "is_default")]
    pub target: String,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

impl Mount {
    /// `VolumeOptions.DriverConfig.Name`: the plugin that the node must have. `local` is everywhere.
    pub fn driver(&self) -> Option<&str> {
        let driver = self.rest.get("VolumeOptions")?.get("DriverConfig")?.get("Name")?;
        driver.as_str().filter(|name| !name.is_empty() && *name != "local")
    }
}

impl TaskSpec {
    /// What the scheduler sets aside for a task.
    pub fn reservations(&self) -> Option<&Resources> {
        self.resources.as_ref()?.reservations.as_ref()
    }

    /// When a task that ended is followed by another.
    pub fn condition(&self) -> Condition {
        self.restart_policy.as_ref().and_then(|policy| policy.condition).unwrap_or_default()
    }

    /// The names of the networks it asks for (`Networks[].Target`).
    pub fn networks(&self) -> impl Iterator<Item = &str> {
        let networks = self.rest.get("Networks").and_then(Value::as_array);
        networks.into_iter().flatten().filter_map(|network| network.get("Target")?.as_str())
    }
}
