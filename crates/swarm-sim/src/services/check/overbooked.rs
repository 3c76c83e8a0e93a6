//! What the tasks of a node reserve, those that are being stopped included, the node has.

use std::collections::BTreeMap;

use swarm_model::Id;

use super::Breach;
use crate::services::cluster::Cluster;

pub(super) fn look(cluster: &Cluster) -> Result<(), Breach> {
    let mut reserved: BTreeMap<&Id, i64> = BTreeMap::new();
    for task in cluster.store.tasks.values().filter(|task| task.holds_node()) {
        let cpu = task.spec.reservations().map_or(0, |wanted| wanted.nano_cpus);
        *reserved.entry(&task.node_id).or_default() += cpu;
    }
    for (id, reserved) in reserved {
        let has = cluster.store.nodes.get(id);
        let has = has.map_or(i64::MAX, |node| node.description.resources.nano_cpus);
        if reserved > has {
            let words = format!("{id} has {has} and {reserved} is reserved");
            return Err(Breach { rule: "no overbooking", words });
        }
    }
    Ok(())
}
