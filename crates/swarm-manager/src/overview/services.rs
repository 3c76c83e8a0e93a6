//! The services: how many of their tasks run, how their last update went, and what is lacking.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use swarm_backend::ServiceSight;
use swarm_model::service::UpdateState;
use swarm_model::{Service, TaskState};

use super::tasks;
use crate::control::service_list::{count, mode};
use crate::replica::Tables;

/// Different reasons that are named.
const REASONS: usize = 3;

/// By name.
pub fn order(one: &ServiceSight, other: &ServiceSight) -> Ordering {
    (&one.name, &one.id).cmp(&(&other.name, &other.id))
}

/// One service.
pub fn sight(service: &Service, tables: &Tables) -> ServiceSight {
    let counts = count(service, tables);
    let spec = &service.spec;
    let container = spec.task_template.container_spec.as_ref();
    let ports = spec.endpoint_spec.iter().flat_map(|endpoint| &endpoint.ports);
    let lacks = counts.running < counts.desired;
    ServiceSight {
        id: service.id.to_string(),
        name: spec.name.clone(),
        mode: mode(&spec.mode),
        image: container.map(|container| container.image.clone()).unwrap_or_default(),
        desired: counts.desired,
        running: counts.running,
        completed: spec.mode.decided().is_job().then_some(counts.completed),
        ports: ports.filter(|port| port.published_port != 0).map(tasks::port).collect(),
        labels: spec.labels.clone(),
        update: service.update_status.as_ref().map(|update| word(update.state).to_owned()),
        update_message: service
            .update_status
            .as_ref()
            .map(|update| update.message.clone())
            .unwrap_or_default(),
        lacks: if lacks { reasons(service, tables) } else { String::new() },
    }
}

fn word(state: UpdateState) -> &'static str {
    match state {
        UpdateState::Updating => "updating",
        UpdateState::Paused => "paused",
        UpdateState::Completed => "completed",
        UpdateState::RollbackStarted => "rollback_started",
        UpdateState::RollbackPaused => "rollback_paused",
        UpdateState::RollbackCompleted => "rollback_completed",
    }
}

/// Why tasks that should run do not, the most frequent reason first.
fn reasons(service: &Service, tables: &Tables) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let wanted = tables.tasks_of_service(&service.id).filter(|task| task.is_wanted());
    for task in wanted.filter(|task| task.status.state != TaskState::Running) {
        let reason = tasks::reason(task);
        let reason = if reason.is_empty() { task.status.state.as_str() } else { reason };
        *counts.entry(reason).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let named = counts.iter().take(REASONS).map(|(reason, count)| format!("{count} × {reason}"));
    named.collect::<Vec<_>>().join("; ")
}
