//! A swarm judged: managers, silent nodes, services, certificates, and nodes that are no manager.

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
            json!([node("a", "ready", yes), node("b", "unknown", no), node("c", "unknown", no)]),
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

#[test]
fn a_rotation_says_how_far_it_is() {
    let mut seen =
        seen(json!([node("a", "ready", Some((true, "reachable"))), node("b", "ready", None)]));
    let by = |key: &str| json!({"CertIssuerSubject": "s", "CertIssuerPublicKey": key});
    seen.info["Swarm"]["Cluster"]["RootRotationInProgress"] = json!(true);
    seen.info["Swarm"]["Cluster"]["TLSInfo"] = by("new");
    seen.nodes[0]["Description"]["TLSInfo"] = by("new");
    seen.nodes[1]["Description"]["TLSInfo"] = by("old");
    let (level, words) = said(&seen);
    let part = "the swarm's root is being rotated: 1 of 2 nodes have a certificate of the new one";
    assert!(level == Level::Healthy && words.contains(part), "{words}");
}
