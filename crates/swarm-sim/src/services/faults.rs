//! Bad luck: power cuts, cut links, slow nodes, wrong clocks, failing containers, managers that stall
//! or lose the lead.

use rand::Rng;
use swarm_model::TaskState;

use super::check::Breach;
use super::cluster::Cluster;
use super::{even, manager, scene};

/// What may go wrong in one step of time.
pub fn strike(cluster: &mut Cluster) -> Result<(), Breach> {
    for at in 0..cluster.agents.len() {
        if cluster.agents[at].back_at <= cluster.now && !cluster.agents[at].is_heard() {
            let agent = &mut cluster.agents[at];
            (agent.on, agent.linked, agent.heard_since) = (true, true, cluster.now);
            let id = agent.id.clone();
            cluster.note(|| format!("{id} is back"));
        }
    }
    let at = cluster.below(cluster.agents.len());
    let now = cluster.now;
    match cluster.below(600) {
        0 => {
            let back_at = now + cluster.rng.random_range(2_000..40_000);
            let agent = &mut cluster.agents[at];
            (agent.on, agent.back_at) = (false, back_at);
            agent.containers.clear();
            let id = agent.id.clone();
            cluster.note(|| format!("{id} loses its power"));
        }
        1 | 2 => {
            let back_at = now + cluster.rng.random_range(500..30_000);
            let agent = &mut cluster.agents[at];
            (agent.linked, agent.back_at) = (false, back_at);
            let id = agent.id.clone();
            cluster.note(|| format!("{id} loses its link"));
        }
        3 => cluster.agents[at].slow = cluster.rng.random_range(1..20),
        4 => cluster.agents[at].skew = cluster.rng.random_range(-3_600_000..3_600_000),
        5 | 6 => {
            let skew = cluster.rng.random_range(-5_000..5_000);
            cluster.note(|| format!("another manager leads, its clock wrong by {skew} ms"));
            manager::lead_anew(cluster, skew);
        }
        7 => {
            let until = now + cluster.rng.random_range(500..20_000);
            cluster.note(|| "the manager stalls".to_owned());
            cluster.manager.stall(until);
        }
        8..14 => {
            let state = if cluster.once_in(2) { TaskState::Failed } else { TaskState::Complete };
            let running = cluster.agents[at].containers.values_mut();
            if let Some(container) = running.into_iter().find(|c| c.state == TaskState::Running) {
                container.ends = Some((now, state));
            }
        }
        14..20 => scene::meddle(cluster),
        20..26 => scene::meddle_with_node(cluster),
        26..34 => {
            let some = 1 + cluster.below(4);
            even::ask(cluster, some)?;
        }
        _ => {}
    }
    Ok(())
}

/// Everything works again, but for a node that is dead for good.
pub fn mend(cluster: &mut Cluster) {
    let dead = cluster.once_in(3).then(|| cluster.below(cluster.agents.len()));
    cluster.note(|| format!("all is mended, but for {dead:?}"));
    cluster.manager.stalled_until = 0;
    for (at, agent) in cluster.agents.iter_mut().enumerate() {
        if !agent.is_heard() {
            agent.heard_since = cluster.now;
        }
        (agent.on, agent.linked, agent.slow) = (Some(at) != dead, true, 1);
        if !agent.on {
            agent.containers.clear();
        }
    }
    scene::settle(cluster);
}
