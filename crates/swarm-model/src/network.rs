//! A network of the swarm. Until there are overlay networks it is only a name: the default network
//! of a stack (`docker stack deploy`), which here is each engine's own bridge.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::meta::{Rest, or_default};
use crate::{Id, Time, Version};

/// The label by which Docker's CLI knows what belongs to a stack.
pub const STACK_LABEL: &str = "com.docker.stack.namespace";

/// What is asked of a network: the body of `POST /networks/create`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkSpec {
    /// Its name.
    pub name: String,
    /// `overlay`; empty for the engine's default, `bridge`.
    pub driver: String,
    /// `swarm`, `local` or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// For people and tools.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Unknown fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl NetworkSpec {
    /// Whether it is for the whole swarm, and not one engine's.
    pub fn is_of_the_swarm(&self) -> bool {
        self.driver == "overlay" || self.scope == "swarm"
    }

    /// Whether it is the network of a stack that names none.
    pub fn is_default_of_a_stack(&self) -> bool {
        let stack = self.labels.get(STACK_LABEL);
        stack.is_some_and(|stack| self.name.strip_suffix("_default") == Some(stack))
    }
}

/// A network as the store keeps it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Network {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: Id,
    /// Guards its changes.
    pub version: Version,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// What was asked for.
    pub spec: NetworkSpec,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stack_s_own_default_is_one() {
        let of = |name: &str, stack: Option<&str>| {
            let stack = stack.map(|stack| (STACK_LABEL.to_owned(), stack.to_owned()));
            let labels = stack.into_iter().collect();
            NetworkSpec { name: name.to_owned(), labels, ..NetworkSpec::default() }
        };
        for (name, stack, is) in [
            ("demo_default", Some("demo"), true),
            ("demo_front", Some("demo"), false),
            ("demo_default", Some("other"), false),
            ("demo_default", None, false),
            ("_default", Some(""), true),
        ] {
            assert_eq!(of(name, stack).is_default_of_a_stack(), is, "{name} {stack:?}");
        }
    }
}
