//! Whether a swarm's machines reach each other: from here by connecting, and between a node and the managers
//! as each of them found it (`GET /swarm/ways`).

use serde_json::Value;
use swarm_docker::json::text;

use crate::pool::Reached;
use crate::verdict::{Level, Verdict};

/// What to do where a manager is not reached.
const REMEDY: &str =
    "nodes and managers need its port (2377, TCP): look at its daemon, at routes and firewalls";

/// Whether this machine reaches the port of a swarm's managers, through which all of it goes.
pub fn reach_managers(managers: &[Reached]) -> Verdict {
    let mut verdict = Verdict::new(String::new());
    for Reached { name, address, failure, .. } in managers {
        if let Some(failure) = failure {
            let what =
                format!("this machine does not reach manager {name} at {address}: {failure}");
            verdict.find(Level::Warning, what, REMEDY);
        }
    }
    if !managers.is_empty() {
        let reached = managers.iter().filter(|one| one.failure.is_none()).count();
        verdict.fact(format!("this machine reaches {reached} of {} managers", managers.len()));
    }
    verdict
}

/// The ways between the node that was asked, whose `GET /info` this is, and the managers. Those from here
/// that `told` names already are left out.
pub fn ways(info: &Value, ways: &Value, told: &[Reached]) -> Verdict {
    let (own_id, own_name) = (&info["Swarm"]["NodeID"], text(&info["Name"]));
    let name = |end: &Value| {
        let name = text(&end["Hostname"]);
        if end["ID"] == *own_id {
            own_name.clone()
        } else if name.is_empty() {
            text(&end["ID"])
        } else {
            name
        }
    };
    let is_told = |way: &Value| {
        let here = way["From"]["ID"] == *own_id;
        here && told.iter().any(|one| one.failure.is_some() && way["Addr"] == one.address)
    };
    let mut verdict = Verdict::new(String::new());
    let ways = ways.as_array().map_or(&[][..], Vec::as_slice);
    let closed: Vec<_> = ways.iter().filter(|way| way["Failure"] != "").collect();
    for way in closed.iter().filter(|way| !is_told(way)) {
        let (from, to) = (name(&way["From"]), name(&way["To"]));
        let (address, failure) = (text(&way["Addr"]), text(&way["Failure"]));
        // Some words have the address already.
        let failure = failure.strip_prefix(&format!("{address}: ")).unwrap_or(&failure);
        let to = if to.is_empty() { "a manager".to_owned() } else { format!("manager {to}") };
        let what = format!("node {from} does not reach {to} at {address}: {failure}");
        verdict.find(Level::Warning, what, REMEDY);
    }
    if !ways.is_empty() {
        let (open, all) = (ways.len() - closed.len(), ways.len());
        verdict.fact(format!(
            "{open} of {all} ways between {own_name} and the managers are open, each tried from its own end"
        ));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_way_that_is_closed_is_told_of_once_from_the_end_that_found_it() {
        let info = json!({"Name": "host-1", "Swarm": {"NodeID": "a"}});
        let end = |id: &str, name: &str| json!({"ID": id, "Hostname": name});
        let way = |from: &Value, to: &Value, addr: &str, failure: &str| json!({"From": from, "To": to, "Addr": addr, "Failure": failure});
        let (own, b, c) = (end("a", ""), end("b", "host-2"), end("c", "host-3"));
        let unknown = end("", "");
        let found = json!([
            way(&own, &b, "10.0.0.2:2377", ""),
            way(&b, &own, "10.0.0.1:2377", "no connection within 5s"),
            way(&b, &c, "10.0.0.3:2377", ""),
            way(&own, &unknown, "10.0.0.3:2377", "10.0.0.3:2377: refused"),
        ]);
        let words = ways(&info, &found, &[]).words();
        for part in [
            "2 of 4 ways between host-1 and the managers are open",
            "node host-2 does not reach manager host-1 at 10.0.0.1:2377: no connection within 5s",
            "node host-1 does not reach a manager at 10.0.0.3:2377: refused\n",
        ] {
            assert!(words.contains(part), "{part}: {words}");
        }
        let told = Reached {
            name: "host-3".to_owned(),
            state: String::new(),
            address: "10.0.0.3:2377".to_owned(),
            version: String::new(),
            failure: Some("refused".to_owned()),
        };
        let words = ways(&info, &found, &[told]).words();
        assert!(!words.contains("host-1 does not reach"), "{words}");
        assert!(words.contains("host-2 does not reach"), "{words}");
        let well = ways(&info, &json!([]), &[]);
        assert!(well.facts.is_empty() && well.findings.is_empty(), "one manager, asked there");
    }
}
