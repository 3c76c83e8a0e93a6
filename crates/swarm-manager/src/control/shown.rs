//! Objects as Docker's API shows them: what this project keeps beside Docker's fields is left out,
//! and what Docker works out (`Endpoint`, `ServiceStatus`) is put in.

use std::sync::Arc;

use serde_json::{Value, json};
use swarm_model::service::template::PULL_OPTIONS;
use swarm_model::service::{ServiceSpec, TaskSpec};
use swarm_model::task::Lineage;
use swarm_model::{Service, Task};

use super::attach;

/// A service.
pub(super) fn service(service: &Service, status: Option<Value>) -> Service {
    let mut shown = service.clone();
    shown.spec = spec(&service.spec);
    shown.previous_spec = service.previous_spec.as_ref().map(|previous| Box::new(spec(previous)));
    let mut endpoint = json!({ "Spec": {} });
    if let Some(asked) = &service.spec.endpoint_spec {
        endpoint["Spec"] = json!(asked);
        if !asked.ports.is_empty() {
            endpoint["Ports"] = json!(asked.ports);
        }
    }
    shown.rest.insert("Endpoint".to_owned(), endpoint);
    if let Some(status) = status {
        shown.rest.insert("ServiceStatus".to_owned(), status);
    }
    shown
}

/// A service's spec.
fn spec(spec: &ServiceSpec) -> ServiceSpec {
    let mut shown = spec.clone();
    shown.task_template = template(&spec.task_template);
    attach::show(&mut shown);
    shown
}

/// What a task is; the same where there is nothing to leave out.
pub(super) fn template(template: &Arc<TaskSpec>) -> Arc<TaskSpec> {
    let container = template.container_spec.as_ref();
    let has_auth = container.is_some_and(|container| container.rest.contains_key(PULL_OPTIONS));
    if !has_auth && template.host.is_none() {
        return Arc::clone(template);
    }
    let mut shown = TaskSpec { host: None, ..TaskSpec::clone(template) };
    if let Some(container) = &mut shown.container_spec {
        container.rest.remove(PULL_OPTIONS);
    }
    Arc::new(shown)
}

/// Shows tasks, one after the other. Those of one service mostly share their spec, which is shown
/// once.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    last: Option<(Arc<TaskSpec>, Arc<TaskSpec>)>,
}

impl Tasks {
    pub(super) fn show(&mut self, task: &Task) -> Task {
        let known = self.last.as_ref().filter(|(kept, _)| Arc::ptr_eq(kept, &task.spec));
        let spec = match known {
            Some((_, shown)) => Arc::clone(shown),
            None => template(&task.spec),
        };
        self.last = Some((Arc::clone(&task.spec), Arc::clone(&spec)));
        let mut shown = task.clone();
        shown.spec = spec;
        shown.service_annotations = Arc::default();
        shown.host_ports = Vec::new();
        shown.lineage = Lineage::default();
        shown.placed_because.clear();
        shown
    }
}
