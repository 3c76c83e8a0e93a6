//! `Resources` of a task: limits and reservations, with Docker's generic resources.

use serde::{Deserialize, Serialize};

use crate::meta::{Rest, is_default, or_default};

/// `TaskTemplate.Resources`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ResourceRequirements {
    /// What the container may use at most; the engine enforces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limit>,
    /// What the scheduler sets aside on the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservations: Option<Resources>,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// `Limits`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Limit {
    /// 10^-9 of a processor.
    #[serde(rename = "NanoCPUs", skip_serializing_if = "is_default")]
    pub nano_cpus: i64,
    /// Bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_bytes: i64,
    /// Unknown fields, `Pids` among them.
    #[serde(flatten)]
    pub rest: Rest,
}

/// `Reservations` of a task, and what a node has.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Resources {
    /// 10^-9 of a processor.
    #[serde(rename = "NanoCPUs", skip_serializing_if = "is_default")]
    pub nano_cpus: i64,
    /// Bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_bytes: i64,
    /// Counted or named things of a kind.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub generic_resources: Vec<GenericResource>,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// One generic resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GenericResource {
    /// One thing with a name, such as a GPU's id.
    #[serde(rename = "NamedResourceSpec")]
    Named(Named),
    /// So many of a kind.
    #[serde(rename = "DiscreteResourceSpec")]
    Discrete(Discrete),
}

/// A thing with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Named {
    /// `gpu`.
    pub kind: String,
    /// Its name.
    pub value: String,
}

/// So many of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Discrete {
    /// `gpu`.
    pub kind: String,
    /// How many.
    pub value: i64,
}
