//! Two containers never have one port of a node.

use swarm_model::Id;

use super::Breach;
use crate::services::cluster::Cluster;

pub(super) fn look(cluster: &Cluster, at: usize, id: &Id) -> Result<(), Breach> {
    let agent = &cluster.agents[at];
    let Some(mine) = agent.containers.get(id) else { return Ok(()) };
    let theirs = agent.containers.values().filter(|other| other.task.id != *id && other.runs());
    for other in theirs {
        let mut ports = mine.task.host_ports.iter();
        if ports.any(|port| port.published_port != 0 && other.task.host_ports.contains(port)) {
            let words = format!("{id} and {} on {}", other.task.id, agent.id);
            return Err(Breach { rule: "unique host ports", words });
        }
    }
    Ok(())
}
