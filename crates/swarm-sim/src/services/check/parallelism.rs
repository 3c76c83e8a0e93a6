//! An update has no more slots in work at once than it may: slots whose old task was well until the
//! update took it, and of which no new one has run or ended yet. Nodes that take no tasks do not count:
//! an update does not wait for them.

use std::sync::Arc;

use swarm_core::orchestrator::{Action, Plan};
use swarm_model::engine::Availability;
use swarm_model::node::NodeState;
use swarm_model::service::UpdateState;
use swarm_model::{Service, Task};

use super::Breach;
use crate::services::cluster::Cluster;

pub(crate) fn planned(
    cluster: &Cluster,
    service: &Service,
    tasks: &[&Task],
    plan: &Plan,
) -> Result<(), Breach> {
    if service.spec.mode.decided().is_job() {
        return Ok(());
    }
    let status = service.update_status.as_ref().map(|status| status.state);
    let back = matches!(status, Some(UpdateState::RollbackStarted));
    let config = if back { &service.spec.rollback_config } else { &service.spec.update_config };
    let config = config.clone().unwrap_or_default();
    let most = usize::try_from(config.parallelism).unwrap_or(usize::MAX);
    let well = |task: &&&Task| {
        let node = cluster.store.nodes.get(&task.node_id);
        // What a person had moved is no update's doing: he said how many at a time.
        task.is_wanted()
            && !task.lineage.moves
            && !task.status.state.is_end()
            && node.is_some_and(|node| {
                node.status.state == NodeState::Ready
                    && node.spec.availability == Availability::Active
                    && !node.spec.labels.contains_key("x")
            })
    };
    let taken = plan.steps.iter().filter(|step| {
        let Action::Create(new) = &step.action else { return false };
        let place = |task: &&&Task| {
            if new.slot > 0 { task.slot == new.slot } else { task.node_id == new.node_id }
        };
        tasks.iter().filter(place).any(|task| well(&task))
    });
    let taken = taken.count();
    if taken == 0 || most == 0 {
        return Ok(());
    }
    let started = service.update_status.as_ref().map(|status| status.started_at);
    let same_slot = |a: &Task, b: &Task| a.slot == b.slot && (a.slot > 0 || a.node_id == b.node_id);
    let new: Vec<&&Task> = tasks
        .iter()
        .filter(|task| {
            started.is_some_and(|started| task.created_at >= started)
                && (Arc::ptr_eq(&task.spec, &service.spec.task_template)
                    || task.spec == service.spec.task_template)
        })
        .collect();
    let settled =
        |task: &Task| task.status.state.is_end() || !task.lineage.running_since.is_never();
    let in_work = new.iter().filter(|task| {
        task.is_wanted()
            && (task.node_id.is_empty() || well(task))
            && !new.iter().any(|other| same_slot(task, other) && settled(other))
    });
    let in_work = in_work.count();
    if in_work + taken > most {
        let words = format!(
            "{} ({}) may have {most} slots in work, has {in_work} and takes {taken} more",
            service.spec.name, service.id
        );
        return Err(Breach { rule: "parallelism is kept", words });
    }
    Ok(())
}
