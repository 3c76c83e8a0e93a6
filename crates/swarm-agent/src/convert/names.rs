//! What the templates of a task may say: `{{.Service.Name}}`, `{{.Node.Hostname}}`, `{{.Task.Slot}}` and
//! their like, as in swarmkit's `template` package.

use std::collections::BTreeMap;

use swarm_docker::ApiVersion;
use swarm_model::Task;

use super::fields::Refusal;
use crate::template::{Scope, TemplateError, Value, fill};

/// What a node knows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// The host's name.
    pub hostname: String,
    /// `linux`.
    pub os: String,
    /// `x86_64`.
    pub architecture: String,
    /// The newest API version of its engine, once it was asked.
    pub api: Option<ApiVersion>,
    /// What its owner allows beyond Docker's.
    pub allows: Vec<String>,
}

/// The names that a task's templates may use.
#[derive(Debug, Clone)]
pub struct TaskNames {
    fields: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    /// The environment, filled.
    pub env: Vec<String>,
}

impl TaskNames {
    /// The names of `task` on `node`, and its environment filled by them.
    pub fn new(task: &Task, node: &NodeFacts, env: Vec<String>) -> Result<Self, Refusal> {
        let fields = [
            ("Service.ID", task.service_id.to_string()),
            ("Service.Name", task.service_annotations.name.clone()),
            ("Node.ID", task.node_id.to_string()),
            ("Node.Hostname", node.hostname.clone()),
            ("Node.Platform.OS", node.os.clone()),
            ("Node.Platform.Architecture", node.architecture.clone()),
            ("Task.ID", task.id.to_string()),
            ("Task.Name", task.name()),
            ("Task.Slot", task.slot_or_node()),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let labels = task.service_annotations.labels.clone();
        let mut names = Self { fields, labels, env: Vec::new() };
        for entry in env {
            // The key is no template, as in Docker.
            let filled = match entry.split_once('=') {
                Some((key, value)) => format!("{key}={}", names.fill("Env", value)?),
                None => entry,
            };
            names.env.push(filled);
        }
        Ok(names)
    }

    /// Fills a template of the field `what`.
    pub fn fill(&self, what: &str, template: &str) -> Result<String, Refusal> {
        fill(template, self).map_err(|error| Refusal(format!("ContainerSpec.{what}: {error}")))
    }

    /// The value of a variable of the environment; empty when it is not there, as in Docker.
    pub fn variable(&self, name: &str) -> String {
        let named = |entry: &&String| entry.split_once('=').is_some_and(|(key, _)| key == name);
        let entry = self.env.iter().find(named);
        entry
            .and_then(|entry| entry.split_once('='))
            .map_or_else(String::new, |(_, v)| v.to_owned())
    }
}

impl Scope for TaskNames {
    fn field(&self, path: &[String]) -> Option<Value> {
        let path = path.join(".");
        if path == "Service.Labels" {
            return Some(Value::Map(self.labels.clone()));
        }
        self.fields.get(&path).cloned().map(Value::Text)
    }

    fn call(&self, _name: &str, _argument: &str) -> Option<Result<String, TemplateError>> {
        None
    }
}
