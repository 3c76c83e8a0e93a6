//! `Swarm` of `GET /info` (API v1.24 and up): this node's part in a swarm, as Docker tells it.

use serde::Serialize;
use serde_json::Value;

use crate::words;

/// `Swarm`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SwarmInfo {
    /// This node's id; empty in no swarm.
    #[serde(rename = "NodeID")]
    pub node_id: String,
    /// Where others reach it.
    pub node_addr: String,
    /// Docker's word.
    pub local_node_state: &'static str,
    /// Whether it is a manager that answers.
    pub control_available: bool,
    /// Why it is not what it should be.
    pub error: String,
    /// What should be looked at though it goes on; sentences, as in Docker's (clients refuse anything else).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Managers that it knows.
    pub remote_managers: Option<Vec<Remote>>,
    /// On managers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<usize>,
    /// On managers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managers: Option<usize>,
    /// On managers: the swarm, without its tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Value>,
}

impl SwarmInfo {
    /// With what is wrong about the engine's own part in a swarm, its `Swarm` of `/info`: it is told where
    /// nothing worse is. A node looks when it joins; somebody may put the engine into another one later.
    pub(crate) fn beside(mut self, engine_s: Option<&Value>, engine: &str) -> Self {
        if self.error.is_empty() && is_in_its_own(engine_s) {
            self.error = words::in_its_own(engine);
        }
        self
    }
}

/// Whether this `Swarm` of an engine's `/info` says that it is in one.
pub(crate) fn is_in_its_own(engine_s: Option<&Value>) -> bool {
    let state = engine_s.and_then(|swarm| swarm["LocalNodeState"].as_str());
    !matches!(state, None | Some("" | "inactive"))
}

/// What should be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub todo: String,
}

impl Warning {
    /// Of these.
    pub fn new(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what: what.into(), todo: todo.into() }
    }

    /// Both, as one sentence.
    pub fn words(&self) -> String {
        format!("{}: {}", self.what, self.todo)
    }
}

/// A manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Remote {
    /// Its id, where it is known.
    #[serde(rename = "NodeID")]
    pub node_id: String,
    /// `HOST:PORT`.
    pub addr: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_engine_that_is_in_another_swarm_is_told_where_nothing_worse_is() {
        let told = |error: &str, state: &str| {
            let own = SwarmInfo { error: error.to_owned(), ..SwarmInfo::default() };
            own.beside(Some(&json!({"LocalNodeState": state})), "unix:///e.sock").error
        };
        for state in ["active", "pending", "locked", "error"] {
            assert!(told("", state).contains("docker -H unix:///e.sock swarm leave --force"));
            assert_eq!(told("it is removed", state), "it is removed");
        }
        assert_eq!((told("", "inactive"), told("", "")), (String::new(), String::new()));
        assert_eq!(SwarmInfo::default().beside(None, "e").error, "");
    }

    #[test]
    fn warnings_are_sentences_as_clients_read_them_and_there_is_no_field_without_any() {
        let mut info = SwarmInfo::default();
        assert!(!serde_json::to_string(&info).unwrap().contains("Warnings"));
        info.warnings.push(Warning::new("it moved", "tell it").words());
        assert_eq!(serde_json::to_value(&info).unwrap()["Warnings"], json!(["it moved: tell it"]));
    }
}
