//! A pool, as its manager tells of it, and the way to its engines.

use serde_json::Value;
use swarm_docker::json::text;

use crate::verdict::{Level, Verdict};

/// Judges what a manager answers to `GET /info` and `GET /nodes`.
pub fn pool(info: &Value, nodes: &Value) -> Verdict {
    let row = |name: &str| {
        let rows = info["SystemStatus"].as_array().into_iter().flatten();
        let mut found = rows.filter(|row| row[0] == name).map(|row| text(&row[1]));
        found.next().unwrap_or_default()
    };
    let nodes = nodes.as_array().map_or(&[][..], Vec::as_slice);
    let ready = nodes.iter().filter(|node| node["Status"]["State"] == "ready").count();
    let mut verdict = Verdict::new(String::new());
    let mut find = |level, what: String, todo: &str| verdict.find(level, what, todo);
    let primary = row("Primary");
    if primary.starts_with("(none") {
        let todo = "changes are refused until there is one; start another manager, and look at \
                    the store that they share";
        find(Level::Critical, format!("no manager is primary {primary}"), todo);
    }
    if nodes.is_empty() {
        let todo = "look at what discovery names: swarm list DISCOVERY";
        find(Level::Critical, "the pool has no node".to_owned(), todo);
    } else if ready == 0 {
        let todo = "look at the network between the manager and the nodes, and at its TLS flags";
        find(Level::Critical, "no node answers".to_owned(), todo);
    }
    for node in nodes {
        let (name, state) = (text(&node["Spec"]["Name"]), text(&node["Status"]["State"]));
        let message = text(&node["Status"]["Message"]);
        let todo = format!("look at dockerd there; if it is gone for good: swarm node rm {name}");
        if state != "ready" {
            find(Level::Warning, format!("node {name} is {state}: {message}"), &todo);
        } else if message.contains(" failed: ") {
            let todo = format!("swarm node inspect {name} tells of each container");
            find(Level::Warning, format!("node {name}: {message}"), &todo);
        }
    }
    let waiting = row("Waiting");
    if !waiting.is_empty() {
        let todo =
            "bring its node back, make room for it elsewhere, or give it up with docker rm -f";
        find(Level::Warning, format!("not rescheduled: {waiting}"), todo);
    }
    for warning in info["Warnings"].as_array().into_iter().flatten().map(text) {
        let warning = warning.trim_start_matches("WARNING: ");
        // Silent nodes have been told of.
        if warning.starts_with("the clock of node ") {
            find(Level::Warning, warning.to_owned(), "set the clock there, by NTP for example");
        } else if warning.starts_with("the pool's store fails: ") {
            let todo = "look at the store, and at the way to it; the manager goes on by itself";
            find(Level::Warning, warning.to_owned(), todo);
        } else if !warning.starts_with("node ") {
            find(Level::Warning, warning.to_owned(), "");
        }
    }
    let containers = text(&info["Containers"]);
    // What ran on a node that is not heard of may have ended: it is counted as it was seen last.
    let silent = nodes.iter().filter(|node| node["Status"]["State"] != "ready");
    let silent: Vec<_> = silent.filter_map(|node| node["Swarm"]["Running"].as_u64()).collect();
    let ran: u64 = silent.iter().sum();
    let running = info["ContainersRunning"].as_u64().unwrap_or_default().saturating_sub(ran);
    let perhaps =
        if silent.is_empty() { String::new() } else { format!(", {ran} more when last heard of") };
    let primary = if primary.is_empty() { String::new() } else { format!(", primary {primary}") };
    verdict.summary = format!(
        "{ready} of {} nodes ready, {containers} containers ({running} running{perhaps}){primary}",
        nodes.len()
    );
    verdict
}

/// A node that was connected to, or not.
#[derive(Debug, Clone)]
pub struct Reached {
    /// Its name.
    pub name: String,
    /// What the manager says of it.
    pub state: String,
    /// Where it was tried.
    pub address: String,
    /// The version of its engine, where the manager knows.
    pub version: String,
    /// Why it was not reached.
    pub failure: Option<String>,
}

/// Whether this machine reaches a pool's engines, as a manager on it would have to. That the manager
/// reaches them is what it says of its nodes itself.
pub fn reach(nodes: &[Reached]) -> Verdict {
    let mut verdict = Verdict::new(String::new());
    for Reached { name, state, address, failure, .. } in nodes {
        // Of one that is down the manager has told already.
        if let Some(failure) = failure.as_ref().filter(|_| state == "ready") {
            let what = format!(
                "the manager reaches node {name}, this machine does not reach {address}: {failure}"
            );
            let todo = "a manager here would need a way to it: look at routes and firewalls";
            verdict.find(Level::Warning, what, todo);
        }
    }
    if !nodes.is_empty() {
        let reached = nodes.iter().filter(|node| node.failure.is_none()).count();
        verdict.fact(format!("this machine reaches {reached} of {} nodes", nodes.len()));
    }
    let versions = nodes.iter().map(|node| &*node.version).filter(|version| !version.is_empty());
    let versions: std::collections::BTreeSet<_> = versions.collect();
    if !versions.is_empty() {
        let versions: Vec<_> = versions.into_iter().collect();
        verdict.fact(format!("engines are of version {}", versions.join(", ")));
    }
    verdict
}

/// The other way round: whether the pool's manager reaches the engine with this id, this machine's.
pub fn reached(engine: &str, nodes: &Value) -> Verdict {
    let mut verdict = Verdict::new(String::new());
    let mut nodes = nodes.as_array().into_iter().flatten();
    let Some(node) = nodes.find(|node| node["ID"] == engine && !engine.is_empty()) else {
        verdict.fact("this machine's engine is no node of that pool");
        return verdict;
    };
    let name = text(&node["Spec"]["Name"]);
    let (address, message) = (text(&node["Status"]["Addr"]), text(&node["Status"]["Message"]));
    if node["Status"]["State"] == "ready" {
        verdict.fact(format!("the manager reaches this machine's engine, {name}, at {address}"));
    } else {
        let what = format!(
            "the manager does not reach this machine's engine, {name}, at {address}: {message}"
        );
        let todo =
            "the engine answers here: look at where it listens, and at the firewall before it";
        verdict.find(Level::Warning, what, todo);
    }
    verdict
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, state: &str, message: &str) -> Value {
        json!({"Spec": {"Name": name}, "Status": {"State": state, "Message": message}})
    }

    fn info(rows: &Value, warnings: &Value) -> Value {
        json!({"SystemStatus": rows, "Warnings": warnings, "Containers": 5, "ContainersRunning": 4})
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        let primary = json!([["Role", "primary"], ["Primary", "a:1"]]);
        let none = json!([["Role", "replica"], ["Primary", "(none; the last one was a:1)"]]);
        let waits = json!([["Waiting", "db: it has data there: volume at /data (and 2 more)"]]);
        let well = node("n1", "ready", "");
        let silent = json!(["WARNING: node n2 is unhealthy: timed out"]);
        let clock = json!(["WARNING: the clock of node n1 is 9.0 s behind the manager's"]);
        let failed = "draining: 0 moved, 1 to move, 1 failed: web: its new copy is unhealthy";
        let table = [
            (&primary, json!([]), json!([well]), Level::Healthy, "1 of 1 nodes ready, 5 cont"),
            (&primary, json!([]), json!([well]), Level::Healthy, "primary a:1\n"),
            (&none, json!([]), json!([well]), Level::Critical, "no manager is primary (none; the"),
            (&primary, json!([]), json!([]), Level::Critical, "swarm list DISCOVERY"),
            (
                &primary,
                silent.clone(),
                json!([well, node("n2", "down", "timed out")]),
                Level::Warning,
                "  warning: node n2 is down: timed out\n    look at dockerd there; if it is gone \
                 for good: swarm node rm n2\n",
            ),
            (
                &primary,
                silent,
                json!([node("n2", "down", "x")]),
                Level::Critical,
                "no node answers",
            ),
            (&primary, clock, json!([well]), Level::Warning, "set the clock there"),
            (
                &primary,
                json!(["WARNING: the pool's store fails: etcd://e does not answer"]),
                json!([well]),
                Level::Warning,
                "etcd://e does not answer\n    look at the store, and at the way to it",
            ),
            (&waits, json!([]), json!([well]), Level::Warning, "not rescheduled: db: it has data"),
            (&primary, json!([]), json!([node("n1", "ready", failed)]), Level::Warning, failed),
            (&primary, json!(["WARNING: two"]), json!([well]), Level::Warning, "warning: two\n"),
        ];
        for (rows, warnings, nodes, level, said) in table {
            let verdict = pool(&info(rows, &warnings), &nodes);
            let words = verdict.words();
            assert_eq!(verdict.level(), level, "{words}");
            assert!(words.contains(said), "{words}");
            assert!(words.matches("timed out").count() <= 1, "once: {words}");
        }
    }

    #[test]
    fn what_ran_on_a_silent_node_is_not_said_to_run() {
        let counted = |name: &str, state: &str, running: u64| {
            let mut node = node(name, state, "");
            node["Swarm"] = json!({"Containers": running, "Running": running});
            node
        };
        let said = |nodes: Value| pool(&info(&json!([]), &json!([])), &nodes).words();
        let words = said(json!([counted("n1", "ready", 1), counted("n2", "down", 3)]));
        assert!(words.contains("5 containers (1 running, 3 more when last heard of)"), "{words}");
        let words = said(json!([counted("n1", "ready", 4), counted("n2", "ready", 0)]));
        assert!(words.contains("5 containers (4 running)"), "{words}");
        // One that was never heard of has none.
        let words = said(json!([counted("n1", "ready", 4), node("n2", "unknown", "")]));
        assert!(words.contains("5 containers (4 running)"), "{words}");
    }

    #[test]
    fn a_node_that_only_the_manager_reaches_is_told_of() {
        let node = |state: &str, failure: Option<&str>| Reached {
            name: "n1".into(),
            state: state.into(),
            address: "10.0.0.1:2375".into(),
            version: "28.5.2".into(),
            failure: failure.map(str::to_owned),
        };
        let nodes =
            [node("ready", Some("timed out")), node("down", Some("x")), node("ready", None)];
        let verdict = reach(&nodes);
        let words = verdict.words();
        assert_eq!((verdict.level(), verdict.findings.len()), (Level::Warning, 1), "{words}");
        assert!(words.contains("this machine does not reach 10.0.0.1:2375: timed out"), "{words}");
        assert!(words.contains("reaches 1 of 3 nodes") && words.contains("version 28.5.2"));
        assert!(reach(&[]).facts.is_empty());
    }
    #[test]
    fn what_the_manager_says_of_this_machines_engine_is_told() {
        let mut node = node("n1", "ready", "");
        node["ID"] = json!("E1");
        node["Status"]["Addr"] = json!("10.0.0.1:2375");
        let said = |engine: &str, node: &Value| reached(engine, &json!([node])).words();
        assert!(said("E1", &node).contains("reaches this machine's engine, n1, at 10.0.0.1:2375"));
        for other in ["E2", ""] {
            assert!(said(other, &node).contains("no node of that pool"));
        }
        node["Status"]["State"] = json!("down");
        node["Status"]["Message"] = json!("timed out");
        let words = said("E1", &node);
        let part = "warning: the manager does not reach this machine's engine, n1, at 10.0.0.1:2375: \
                    timed out\n    the engine answers here";
        assert!(words.contains(part), "{words}");
    }
}
