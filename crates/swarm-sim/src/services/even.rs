//! Somebody has services evened out: what `swarm rebalance --apply` does, with the manager's own planner.

use swarm_core::scheduler::even::even;
use swarm_core::scheduler::movable::movable;
use swarm_core::scheduler::{Board, room::takes_tasks};
use swarm_core::task::Owner;
use swarm_model::{Id, Task};

use super::check::Breach;
use super::cluster::Cluster;

/// As many as a person may ask for.
const MOST: usize = 1_000;

/// The tasks that would move now, at most `limit`.
pub fn planned(cluster: &mut Cluster, limit: usize) -> Vec<Id> {
    let store = &cluster.store;
    let mut board = Board::new(store.nodes.values().cloned(), store.tasks.values());
    let takes = |node: &Id| store.nodes.get(node).is_some_and(|node| takes_tasks(node));
    let tasks: Vec<&Task> = store
        .services
        .values()
        .filter_map(|service| {
            let own = store.tasks.values().filter(|task| task.service_id == service.id);
            movable(service, own, takes).ok()
        })
        .flatten()
        .collect();
    let now = cluster.manager.clock(cluster.now, store);
    let moves = even(&mut board, &tasks, limit, now, &mut cluster.rng);
    moves.into_iter().map(|one| one.task).collect()
}

/// Marks some of them; the orchestrators do the rest. How many.
pub fn ask(cluster: &mut Cluster, limit: usize) -> Result<usize, Breach> {
    let tasks = planned(cluster, limit);
    for id in &tasks {
        let Some(mut task) = cluster.store.tasks.get(id).cloned() else { continue };
        task.lineage.moves = true;
        task.updated_at = cluster.manager.clock(cluster.now, &cluster.store);
        cluster.note(|| format!("{id} of {} on {} is to move", task.service_id, task.node_id));
        // A person's wish is written by the manager for him, and no state rises by it.
        cluster.store.write(Owner::Orchestrator, task)?;
        cluster.checks.moved += 1;
    }
    Ok(tasks.len())
}

/// Nothing is left to be evened out.
pub fn is_even(cluster: &mut Cluster) -> Result<(), Breach> {
    let left = planned(cluster, MOST);
    if left.is_empty() {
        return Ok(());
    }
    let words = format!("after moves were made one after the other, {left:?} would still move");
    Err(Breach { rule: "a plan that was carried out leaves nothing", words })
}
