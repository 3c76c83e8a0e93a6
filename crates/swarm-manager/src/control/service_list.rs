//! `GET /services` and `GET /services/{id}`.

use std::sync::Arc;

use serde_json::{Value, json};
use swarm_backend::{Exchange, Reply, Result};
use swarm_docker::Filters;
use swarm_model::node::NodeState;
use swarm_model::service::{Mode, ServiceMode};
use swarm_model::{Service, TaskState};

use super::answer::{flag, list};
use super::lookup::find;
use super::{Control, defaults, filters, shown};
use crate::replica::Tables;

const ACCEPTED: [&str; 5] = ["name", "id", "label", "mode", "runtime"];

impl Control {
    pub(super) async fn services(&self, exchange: Exchange) -> Result<Reply> {
        let filters = filters::read(&exchange, &ACCEPTED)?;
        let with_status = flag(&exchange, "status")?;
        let found = self
            .look(|tables| {
                let services = tables.services.values();
                let services = services.filter(|service| matches(service, &filters));
                let of = |service: &Arc<Service>| {
                    (Arc::clone(service), with_status.then(|| status(service, tables)))
                };
                services.map(of).collect::<Vec<_>>()
            })
            .await;
        Ok(list(found, |(service, status)| shown::service(service, status.clone())))
    }

    pub(super) async fn service(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        let insert_defaults = flag(&exchange, "insertDefaults")?;
        let service = self.look(|tables| find::<Service>(tables, name).cloned()).await?;
        let mut shown = shown::service(&service, None);
        if insert_defaults {
            defaults::insert(&mut shown.spec);
        }
        Reply::ok(&shown)
    }
}

fn matches(service: &Service, filters: &Filters) -> bool {
    let runtime = match service.spec.task_template.runtime.as_str() {
        "" => "container",
        runtime => runtime,
    };
    filters.fuzzy("name", &service.spec.name)
        && filters.fuzzy("id", &service.id)
        && filters::labelled(filters, "label", &service.spec.labels)
        && filters.exact("mode", mode(&service.spec.mode))
        && filters.exact("runtime", runtime)
}

/// Docker's word for a mode.
pub(crate) fn mode(mode: &ServiceMode) -> &'static str {
    match mode.decided() {
        Mode::Replicated { .. } => "replicated",
        Mode::Global => "global",
        Mode::ReplicatedJob { .. } => "replicated-job",
        Mode::GlobalJob => "global-job",
    }
}

/// `ServiceStatus` (API v1.41; swarmkit `ListServiceStatuses`).
fn status(service: &Service, tables: &Tables) -> Value {
    let Counts { running, desired, completed } = count(service, tables);
    json!({ "RunningTasks": running, "DesiredTasks": desired, "CompletedTasks": completed })
}

/// How many tasks of a service are what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// That run.
    pub running: u64,
    /// That should.
    pub desired: u64,
    /// Of a job's run, that ended well.
    pub completed: u64,
}

/// Whether fewer tasks of a service run than should; of a job that is not asked.
pub fn is_short(service: &Service, tables: &Tables) -> bool {
    let Counts { running, desired, .. } = count(service, tables);
    !service.spec.mode.decided().is_job() && running < desired
}

/// Counts them.
pub(crate) fn count(service: &Service, tables: &Tables) -> Counts {
    let (is_global, mut desired) = match service.spec.mode.decided() {
        Mode::Replicated { replicas } => (false, replicas),
        Mode::ReplicatedJob { concurrent, .. } => (false, concurrent),
        Mode::Global | Mode::GlobalJob => (true, 0),
    };
    let iteration = service.job_status.as_ref().map(|job| job.job_iteration);
    let (mut running, mut completed) = (0_u64, 0_u64);
    for task in tables.tasks_of_service(&service.id) {
        let state = task.status.state;
        if iteration.is_some() {
            if task.job_iteration != iteration {
                continue;
            }
            completed += u64::from(state == TaskState::Complete);
        }
        // What a dead node's tasks do nobody knows; those that are to run were replaced.
        let node = tables.nodes.get(&task.node_id);
        let is_heard = node.is_some_and(|node| node.status.state != NodeState::Down);
        running += u64::from(state == TaskState::Running && is_heard);
        let is_desired = match task.desired_state {
            TaskState::Running => true,
            TaskState::Complete => state != TaskState::Complete,
            _ => false,
        };
        desired += u64::from(is_global && is_desired);
    }
    Counts { running, desired, completed }
}
