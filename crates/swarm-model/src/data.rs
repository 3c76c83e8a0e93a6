//! Secrets and configs: a name, labels and bytes that services are given as a file (`/secrets`, API
//! v1.25; `/configs`, v1.30). They differ in who is shown the bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::meta::{Rest, or_default};
use crate::{Id, Secret, Time, Version};

/// The field of a secret that goes to a node, in the place of its bytes, where its driver gave none: why,
/// in words.
pub const DRIVER_FAILED: &str = "DriverFailed";

/// By what a node knows a driver's value, or failure, that is for one task alone.
pub fn own_id(secret: &str, task: &str) -> Id {
    Id::from(format!("{secret}.{task}").as_str())
}

/// What is asked of a secret or a config.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DataSpec {
    /// Its name.
    pub name: String,
    /// For people and filters.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// The bytes, in base 64. Missing in an update that leaves them as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Secret>,
    /// Unknown fields: `Driver`, `Templating`.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A secret or a config as the store keeps it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Data {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: Id,
    /// Guards its changes.
    pub version: Version,
    /// When it was made.
    pub created_at: Time,
    /// When its labels were last changed.
    pub updated_at: Time,
    /// What was asked for.
    pub spec: DataSpec,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_secret_is_kept_and_its_bytes_are_not_shown() {
        let text =
            r#"{"Name":"key","Labels":null,"Data":"aGVsbG8=","Templating":{"Name":"golang"}}"#;
        let spec: DataSpec = serde_json::from_str(text).unwrap();
        assert!(!format!("{spec:?}").contains("aGVsbG8="), "{spec:?}");
        let again = serde_json::to_value(&spec).unwrap();
        assert_eq!(again["Templating"]["Name"], "golang");
        assert_eq!(again["Labels"], serde_json::json!({}));
        assert_eq!(again["Data"], "aGVsbG8=");
    }
}
