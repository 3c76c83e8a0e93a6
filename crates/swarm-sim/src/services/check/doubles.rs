//! No task is started in a slot while another one of the slot runs, unless the update order is
//! start-first (of an update, a drain or a move), or nobody could know: its node is not heard of, or only since shortly.

use std::sync::Arc;

use swarm_core::orchestrator::moves_start_first;
use swarm_model::engine::Availability;
use swarm_model::service::Order;
use swarm_model::service::update::drain_order;
use swarm_model::{Id, Node, Service};

use super::Breach;
use crate::services::agent::Agent;
use crate::services::cluster::{Cluster, Millis};

/// A start may have been decided while the other node was silent; slow nodes carry it out this late.
const LATE: Millis = 30_000;

/// When a task is made.
pub(crate) fn made(cluster: &mut Cluster, service: &Service, id: &Id) {
    let spec = &service.spec;
    let mut configs = spec.update_config.iter().chain(&spec.rollback_config);
    // A service may have its tasks leave a drained node like that.
    let is_drained = |node: &Arc<Node>| node.spec.availability == Availability::Drain;
    let drains = drain_order(&spec.labels) == Ok(Order::StartFirst)
        && cluster.store.nodes.values().any(is_drained);
    let moves = moves_start_first(service)
        && cluster
            .store
            .tasks
            .values()
            .any(|task| task.service_id == service.id && task.lineage.moves);
    if drains || moves || configs.any(|config| config.order == Order::StartFirst) {
        cluster.checks.start_first.insert(id.clone());
    }
}

pub(super) fn look(cluster: &Cluster, at: usize, id: &Id) -> Result<(), Breach> {
    let Some(mine) = cluster.agents[at].containers.get(id) else { return Ok(()) };
    if cluster.checks.start_first.contains(id) {
        return Ok(());
    }
    // An agent without a link does what it was last told.
    let known = |agent: &Agent| agent.is_heard() && cluster.now - agent.heard_since >= LATE;
    if !known(&cluster.agents[at]) {
        return Ok(());
    }
    // Slots of global services are their nodes; a job's first has the number 0 too.
    let service = cluster.store.services.get(&mine.task.service_id);
    let is_global = service.is_none_or(|service| service.spec.mode.decided().is_global());
    for agent in cluster.agents.iter().filter(|agent| known(agent)) {
        let other = agent.containers.values().find(|other| {
            let (a, b) = (&other.task, &mine.task);
            other.runs()
                && a.id != b.id
                && a.service_id == b.service_id
                && a.slot == b.slot
                && (!is_global || a.node_id == b.node_id)
        });
        if let Some(other) = other {
            let words = format!("{id} is started while {} runs on {}", other.task.id, agent.id);
            return Err(Breach { rule: "no two in a slot", words });
        }
    }
    Ok(())
}
