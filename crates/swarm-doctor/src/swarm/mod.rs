//! A swarm, as one of its managers tells of it; and a node that is no manager. In reading order: `quorum`, `nodes`, `services`.

mod nodes;
mod quorum;
mod services;

use serde_json::Value;
use swarm_docker::json::text;

use crate::clocks::clocks;
use crate::verdict::{Level, Verdict};

pub use quorum::may_be_lost;

/// What a node of a swarm answered.
#[derive(Debug, Clone, Default)]
pub struct SwarmSeen {
    /// To `GET /info`.
    pub info: Value,
    /// On a manager, to `GET /nodes`.
    pub nodes: Value,
    /// On a manager, to `GET /services?status=1`.
    pub services: Value,
    /// On a manager, to `GET /tasks`, those that are wanted.
    pub tasks: Value,
    /// When it was asked, in nanoseconds since 1970.
    pub now: i64,
}

/// Judges it.
pub fn swarm(seen: &SwarmSeen) -> Verdict {
    let own = &seen.info["Swarm"];
    let mut verdict = Verdict::new(String::new());
    let error = text(&own["Error"]);
    for warning in list(&own["Warnings"]) {
        // A sentence that says what to do, too.
        verdict.find(Level::Warning, text(warning), "");
    }
    match own["LocalNodeState"].as_str().unwrap_or_default() {
        "active" if own["ControlAvailable"] == true => {
            if !error.is_empty() {
                verdict.find(Level::Warning, format!("this manager: {error}"), "look at its log");
            }
            manager(seen, &mut verdict);
        }
        "active" => worker(own, &error, &mut verdict),
        "locked" => {
            "this manager is locked".clone_into(&mut verdict.summary);
            let what = "its keys are locked, and it takes no part in its swarm";
            verdict.find(Level::Critical, what, "docker swarm unlock");
        }
        "pending" => {
            "this node is on its way into a swarm".clone_into(&mut verdict.summary);
            verdict.find(Level::Warning, "it is no member yet", "look again in some seconds");
        }
        "error" => {
            "this node cannot go on as a member of its swarm".clone_into(&mut verdict.summary);
            let todo = "the words say why; if it cannot be mended: docker swarm leave --force, and join \
                        again";
            verdict.find(Level::Critical, error, todo);
        }
        _ => {
            "this node is in no swarm".clone_into(&mut verdict.summary);
            let todo = "docker swarm init begins one, docker swarm join joins one";
            verdict.find(Level::Critical, "there is no swarm to look at", todo);
        }
    }
    verdict
}

fn worker(own: &Value, error: &str, verdict: &mut Verdict) {
    let managers = own["RemoteManagers"].as_array().into_iter().flatten();
    let managers: Vec<_> = managers.map(|one| text(&one["Addr"])).collect();
    verdict.summary = format!("a worker of a swarm whose managers are {}", managers.join(", "));
    if error.is_empty() {
        verdict.find(Level::Healthy, "only a manager can judge the swarm", "ask one of them");
    } else {
        let todo = "look at the network towards the managers, and at their daemons";
        verdict.find(Level::Warning, format!("this node: {error}"), todo);
    }
}

fn list(answer: &Value) -> &[Value] {
    answer.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn name_of(node: &Value) -> String {
    let name = text(&node["Description"]["Hostname"]);
    if name.is_empty() { text(&node["ID"]) } else { name }
}

fn manager(seen: &SwarmSeen, verdict: &mut Verdict) {
    let nodes = list(&seen.nodes);
    let ready = nodes.iter().filter(|node| node["Status"]["State"] == "ready").count();
    if ready == 0 {
        let todo = "look at swarm daemon on the nodes, and at the network between them";
        verdict.find(Level::Critical, "no node is heard of", todo);
    }
    let leader = quorum::judge(nodes, verdict);
    clocks(nodes, verdict);
    for node in nodes {
        nodes::silent(node, seen.now, verdict);
        nodes::certificate(seen, node, verdict);
    }
    let services = list(&seen.services);
    for service in services {
        services::lacking(service, &seen.tasks, verdict);
        services::updated(service, verdict);
    }
    if seen.info["Swarm"]["Cluster"]["RootRotationInProgress"] == true {
        let what = format!(
            "the swarm's root is being rotated: {} of {} nodes have a certificate of the new one",
            nodes::moved(seen).count(),
            nodes.len()
        );
        verdict.find(
            Level::Healthy,
            what,
            "it ends by itself when all have moved, or were removed",
        );
    }
    let whole = services.iter().filter(|service| {
        let status = &service["ServiceStatus"];
        status["RunningTasks"].as_u64() >= status["DesiredTasks"].as_u64()
    });
    verdict.summary = format!(
        "{ready} of {} nodes ready, {} of {} services whole, leader {leader}",
        nodes.len(),
        whole.count(),
        services.len()
    );
}

/// How long ago, in one unit.
pub(crate) fn ago(now: i64, then: i64) -> String {
    let seconds = now.saturating_sub(then).max(0) / 1_000_000_000;
    match seconds {
        ..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds / 60),
        6_000..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
