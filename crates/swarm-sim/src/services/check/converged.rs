//! After healing, each service has what it wants, in the containers that truly run, and nothing else
//! runs.

use std::collections::BTreeSet;

use swarm_model::service::{Mode, UpdateState};
use swarm_model::{Service, TaskState};

use super::Breach;
use crate::services::agent::Container;
use crate::services::cluster::Cluster;

pub(crate) fn look(cluster: &Cluster) -> Result<(), Breach> {
    let rule = "replicas converge";
    for service in cluster.store.services.values() {
        if let Some(words) = of(cluster, service) {
            let words = format!("{} ({}): {words}", service.spec.name, service.id);
            return Err(Breach { rule, words });
        }
    }
    let stray = running(cluster).find(|c| !cluster.store.services.contains_key(&c.task.service_id));
    match stray {
        Some(stray) => Err(Breach { rule, words: format!("nobody wants {:?}", stray.task) }),
        None => Ok(()),
    }
}

fn running(cluster: &Cluster) -> impl Iterator<Item = &Container> {
    cluster.agents.iter().flat_map(|agent| agent.containers.values()).filter(|c| c.runs())
}

fn of(cluster: &Cluster, service: &Service) -> Option<String> {
    if let Some(status) = &service.update_status
        && matches!(status.state, UpdateState::Updating | UpdateState::RollbackStarted)
    {
        return Some(format!("its update has not come to an end: {status:?}"));
    }
    let own: Vec<&Container> =
        running(cluster).filter(|c| c.task.service_id == service.id).collect();
    let tasks = || cluster.store.tasks.values().filter(|task| task.service_id == service.id);
    let told = || tasks().map(|t| format!("\n    {t:?}")).collect::<Vec<_>>().concat();
    let up = cluster.agents.iter().filter(|agent| agent.on).count();
    let wanted = match service.spec.mode.decided() {
        Mode::Replicated { replicas } => usize::try_from(replicas).unwrap_or(usize::MAX),
        Mode::Global => up,
        Mode::ReplicatedJob { total, .. } => {
            let done = tasks().filter(|task| task.status.state == TaskState::Complete);
            let done = u64::try_from(done.count()).unwrap_or(u64::MAX);
            if done != total {
                return Some(format!("{done} of {total} have ended well{}", told()));
            }
            0
        }
        Mode::GlobalJob => 0,
    };
    if own.len() != wanted {
        return Some(format!("{} run and {wanted} are wanted{}", own.len(), told()));
    }
    let places: BTreeSet<_> = own
        .iter()
        .map(|c| if c.task.slot > 0 { c.task.slot.to_string() } else { c.task.node_id.to_string() })
        .collect();
    if places.len() != wanted {
        return Some(format!("not each slot has one{}", told()));
    }
    let other = own.iter().find(|c| c.task.spec != service.spec.task_template);
    other.map(|c| format!("{} is not as the service wants it{}", c.task.id, told()))
}
