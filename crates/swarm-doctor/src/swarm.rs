//! A swarm, as one of its managers tells of it; and a node that is no manager.

use std::collections::BTreeMap;

use serde_json::Value;
use swarm_docker::json::text;
use swarm_docker::time::Moment;

use crate::certificate::LEFT;
use crate::clocks::clocks;
use crate::verdict::{Level, Verdict};

/// Different reasons that are named for one service.
const REASONS: usize = 3;

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
    let leader = quorum(nodes, verdict);
    clocks(nodes, verdict);
    for node in nodes {
        silent(node, seen.now, verdict);
        certificate(seen, node, verdict);
    }
    let services = list(&seen.services);
    for service in services {
        lacking(service, &seen.tasks, verdict);
        updated(service, verdict);
    }
    if seen.info["Swarm"]["Cluster"]["RootRotationInProgress"] == true {
        let what = "the swarm's root is being rotated";
        verdict.find(Level::Healthy, what, "it ends by itself when all nodes are heard of");
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

/// How many of the managers that answer are more than a majority.
fn spare(answering: usize, all: usize) -> usize {
    answering.saturating_sub(all / 2 + 1)
}

/// What follows where some managers do not answer.
pub fn may_be_lost(answering: usize, all: usize) -> String {
    match spare(answering, all) {
        0 => "if one more is lost nothing can be changed".to_owned(),
        spare => format!("{spare} more may be lost"),
    }
}

/// The leader's name; whether managers may be lost.
fn quorum(nodes: &[Value], verdict: &mut Verdict) -> String {
    let managers: Vec<_> = nodes.iter().filter(|node| node["ManagerStatus"].is_object()).collect();
    let all = managers.len();
    let answers = |node: &&&Value| node["ManagerStatus"]["Reachability"] == "reachable";
    let answering = managers.iter().filter(answers).count();
    let leading = managers.iter().find(|node| node["ManagerStatus"]["Leader"] == true);
    let Some(leading) = leading else {
        let what = format!("the swarm has no leader: {answering} of {all} managers answer");
        let todo = "what runs goes on, and nothing can be changed: bring managers back until more than \
                    half of them answer; if they are lost for good: docker swarm init --force-new-cluster";
        verdict.find(Level::Critical, what, todo);
        return "(none)".to_owned();
    };
    let spare = spare(answering, all);
    if answering < all {
        let silent = managers.iter().filter(|node| !answers(node)).map(|node| name_of(node));
        let silent: Vec<_> = silent.collect();
        let what = format!(
            "{answering} of {all} managers answer ({} {} not): {}",
            silent.join(", "),
            if silent.len() == 1 { "does" } else { "do" },
            may_be_lost(answering, all)
        );
        let todo = "look at swarm daemon there; if it is gone for good: docker node demote it, and \
                    promote another";
        verdict.find(Level::Warning, what, todo);
    } else if spare == 0 {
        let what = format!(
            "no manager may be lost: there {}",
            match all {
                1 => "is one".to_owned(),
                all => format!("are {all}"),
            }
        );
        verdict.find(Level::Healthy, what, "three can lose one: docker node promote NODE");
    } else {
        verdict.fact(format!("{answering} of {all} managers answer: {spare} may be lost"));
    }
    name_of(leading)
}

fn silent(node: &Value, now: i64, verdict: &mut Verdict) {
    let (name, state) = (name_of(node), text(&node["Status"]["State"]));
    if state == "ready" {
        return;
    }
    let since = Moment::parse(&text(&node["Swarm"]["StateSince"]));
    let since = since.map(|since| format!(" since {}", ago(now, since.as_nanos())));
    let message = text(&node["Status"]["Message"]);
    let what = format!("node {name} is {state}{}: {message}", since.unwrap_or_default());
    let todo = format!(
        "look at swarm daemon there; if it is gone for good: docker node rm --force {name}"
    );
    verdict.find(Level::Warning, what, todo);
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

/// A node's certificate that was not renewed in time.
fn certificate(seen: &SwarmSeen, node: &Value, verdict: &mut Verdict) {
    let Some(ends) = Moment::parse(&text(&node["Swarm"]["CertificateEnds"])) else { return };
    let life = &seen.info["Swarm"]["Cluster"]["Spec"]["CAConfig"]["NodeCertExpiry"];
    let Some(life) = life.as_i64().filter(|life| *life > 0) else { return };
    let left = ends.as_nanos().saturating_sub(seen.now);
    let name = name_of(node);
    let todo =
        "it is renewed when the node reaches a manager: look at its daemon's log, and at its clock";
    if left <= 0 {
        let what = format!("the certificate of node {name} has ended");
        verdict.find(Level::Warning, what, todo);
    } else if left < life / 100 * LEFT {
        let what = format!("the certificate of node {name} ends in {}", ago(left, 0));
        verdict.find(Level::Warning, what, todo);
    }
}

/// A service of which fewer tasks run than should, with the reasons of those that do not.
fn lacking(service: &Value, tasks: &Value, verdict: &mut Verdict) {
    let status = &service["ServiceStatus"];
    let count = |key: &str| status[key].as_u64().unwrap_or_default();
    let (running, desired) = (count("RunningTasks"), count("DesiredTasks"));
    if running >= desired {
        return;
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let own = list(tasks).iter().filter(|task| task["ServiceID"] == service["ID"]);
    for task in own.filter(|task| task["Status"]["State"] != "running") {
        let words = ["Err", "Message", "State"].map(|key| text(&task["Status"][key]));
        let reason = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
        *reasons.entry(reason).or_default() += 1;
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let reasons: Vec<_> =
        reasons.iter().take(REASONS).map(|(reason, count)| format!("{count} × {reason}")).collect();
    let name = text(&service["Spec"]["Name"]);
    let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
    let what = format!("service {name}: {running} of {desired} run{why}");
    // An update takes tasks away one after the other.
    let is_updating = service["UpdateStatus"]["State"] == "updating";
    let level = if is_updating { Level::Healthy } else { Level::Warning };
    verdict.find(level, what, format!("docker service ps --no-trunc {name}"));
}

fn updated(service: &Value, verdict: &mut Verdict) {
    let state = service["UpdateStatus"]["State"].as_str().unwrap_or_default();
    if !matches!(state, "paused" | "rollback_paused") {
        return;
    }
    let name = text(&service["Spec"]["Name"]);
    let words = text(&service["UpdateStatus"]["Message"]);
    let what = format!("service {name}: its update has stopped: {words}");
    let todo = format!("mend it with docker service update, or docker service rollback {name}");
    verdict.find(Level::Warning, what, todo);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOUR: i64 = 3_600 * 1_000_000_000;

    fn node(name: &str, state: &str, manager: Option<(bool, &str)>) -> Value {
        let mut node = json!({"ID": name, "Description": {"Hostname": name},
            "Status": {"State": state, "Message": if state == "ready" { "" } else { "heartbeat failure" }},
            "Swarm": {"StateSince": "1970-01-01T01:00:00Z", "CertificateEnds": "1970-01-05T00:00:00Z"}});
        if let Some((leads, reachability)) = manager {
            node["ManagerStatus"] = json!({"Leader": leads, "Reachability": reachability});
        }
        node
    }

    fn seen(nodes: Value) -> SwarmSeen {
        let own = json!({"LocalNodeState": "active", "ControlAvailable": true,
            "Cluster": {"Spec": {"CAConfig": {"NodeCertExpiry": 100 * HOUR}}}});
        let info = json!({"Swarm": own});
        let services = json!([{"ID": "s", "Spec": {"Name": "web"},
            "ServiceStatus": {"RunningTasks": 2, "DesiredTasks": 2}}]);
        SwarmSeen { info, nodes, services, now: 2 * HOUR, ..SwarmSeen::default() }
    }

    fn said(seen: &SwarmSeen) -> (Level, String) {
        let verdict = swarm(seen);
        (verdict.level(), verdict.words())
    }

    #[test]
    fn managers_are_counted_and_silent_nodes_told_of_with_their_time() {
        let (yes, no) = (Some((false, "reachable")), Some((false, "unreachable")));
        let leader = Some((true, "reachable"));
        let well =
            json!([node("a", "ready", leader), node("b", "ready", yes), node("c", "ready", yes)]);
        let (level, words) = said(&seen(well));
        assert_eq!(level, Level::Healthy, "{words}");
        assert!(words.contains("3 of 3 nodes ready, 1 of 1 services whole, leader a"), "{words}");
        assert!(words.contains("3 of 3 managers answer: 1 may be lost"), "{words}");
        for (nodes, level, part) in [
            (
                json!([node("a", "ready", leader)]),
                Level::Healthy,
                "no manager may be lost: there is one",
            ),
            (
                json!([node("a", "ready", leader), node("b", "ready", yes), node("c", "down", no)]),
                Level::Warning,
                "2 of 3 managers answer (c does not): if one more is lost nothing can be changed",
            ),
            (
                json!([
                    node("a", "ready", yes),
                    node("b", "unknown", no),
                    node("c", "unknown", no)
                ]),
                Level::Critical,
                "the swarm has no leader: 1 of 3 managers answer",
            ),
            (
                json!([node("a", "ready", leader), node("w", "down", None)]),
                Level::Warning,
                "node w is down since 60 min: heartbeat failure\n    look at swarm daemon there; if it is \
                 gone for good: docker node rm --force w\n",
            ),
            (json!([node("a", "down", leader)]), Level::Critical, "no node is heard of"),
        ] {
            let (found, words) = said(&seen(nodes));
            assert_eq!(found, level, "{words}");
            assert!(words.contains(part), "{part}: {words}");
        }
    }

    #[test]
    fn services_that_lack_tasks_are_told_of_with_their_reasons() {
        let mut seen = seen(json!([node("a", "ready", Some((true, "reachable")))]));
        let task =
            |error: &str| json!({"ServiceID": "s", "Status": {"State": "pending", "Err": error}});
        seen.tasks = json!([task("no suitable node"), task("no suitable node"), task("other")]);
        seen.services[0]["ServiceStatus"]["DesiredTasks"] = json!(5);
        let (level, words) = said(&seen);
        let part = "service web: 2 of 5 run: 2 × no suitable node; 1 × other";
        assert!(level == Level::Warning && words.contains(part), "{words}");
        assert!(words.contains("0 of 1 services whole"), "{words}");
        seen.services[0]["UpdateStatus"] = json!({"State": "updating"});
        assert_eq!(said(&seen).0, Level::Healthy, "an update takes tasks away");
        seen.services[0]["UpdateStatus"] = json!({"State": "paused", "Message": "task t failed"});
        assert!(said(&seen).1.contains("its update has stopped: task t failed"));
    }

    #[test]
    fn certificates_that_were_not_renewed_are_told_of() {
        let mut seen = seen(json!([node("a", "ready", Some((true, "reachable")))]));
        // The fifth day begins after 96 hours.
        for (hours, part) in [(70, ""), (90, "ends in 6 h"), (97, "has ended")] {
            seen.now = hours * HOUR;
            let (level, words) = said(&seen);
            assert_eq!(level == Level::Healthy, part.is_empty(), "{words}");
            assert!(words.contains(part), "{words}");
        }
    }

    #[test]
    fn a_node_that_is_no_manager_says_what_it_is() {
        let of =
            |own: Value| said(&SwarmSeen { info: json!({ "Swarm": own }), ..SwarmSeen::default() });
        let managers = json!([{"Addr": "10.0.0.1:2377"}]);
        for (own, level, part) in [
            (
                json!({"LocalNodeState": "active", "RemoteManagers": managers}),
                Level::Healthy,
                "a worker of a swarm whose managers are 10.0.0.1:2377",
            ),
            (
                json!({"LocalNodeState": "active", "Error": "no manager can be reached"}),
                Level::Warning,
                "no manager can be reached",
            ),
            (
                json!({"LocalNodeState": "active", "Warnings": ["it moved: tell it"]}),
                Level::Warning,
                "warning: it moved: tell it\n",
            ),
            (json!({"LocalNodeState": "locked"}), Level::Critical, "docker swarm unlock"),
            (json!({"LocalNodeState": "pending"}), Level::Warning, "no member yet"),
            (json!({"LocalNodeState": "error", "Error": "why"}), Level::Critical, "critical: why"),
            (json!({"LocalNodeState": "inactive"}), Level::Critical, "docker swarm init"),
        ] {
            let (found, words) = of(own);
            assert_eq!(found, level, "{words}");
            assert!(words.contains(part), "{words}");
        }
    }
}
