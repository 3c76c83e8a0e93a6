//! Whose clock is wrong in a swarm. Nodes' clocks are compared with the leader's; where most of the others
//! are off by the same, it is the leader's that is.

use serde_json::Value;

use crate::swarm::{ago, name_of};
use crate::verdict::{Level, Verdict};

/// What is off by more than this from what most show is told, in nanoseconds.
const NEAR: i64 = 2_000_000_000;

const MEND: &str = "set the clock there, by NTP for example; certificates are judged by it, and begin an hour \
                    early at most";

/// Tells of clocks that are off.
pub(crate) fn clocks(nodes: &[Value], verdict: &mut Verdict) {
    let ready = nodes.iter().filter(|node| node["Status"]["State"] == "ready");
    let others: Vec<_> =
        ready.filter(|node| node["ManagerStatus"]["Leader"] != true).map(of).collect();
    let leader = nodes.iter().find(|node| node["ManagerStatus"]["Leader"] == true);
    let usual = usual(&others.iter().map(|(_, ahead)| *ahead).collect::<Vec<_>>());
    if usual != 0 {
        let name = leader.map_or_else(|| "that leads".to_owned(), name_of);
        let what = format!(
            "the clock of manager {name}, which leads, is {} the other nodes'",
            off(usual.saturating_neg())
        );
        verdict.find(Level::Warning, what, MEND);
    }
    for (name, ahead) in others {
        let ahead = ahead.saturating_sub(usual);
        if ahead.saturating_abs() > NEAR {
            let than = if usual == 0 { "the leader's" } else { "most others'" };
            let what = format!("the clock of node {name} is {} {than}", off(ahead));
            verdict.find(Level::Warning, what, MEND);
        }
    }
}

fn of(node: &Value) -> (String, i64) {
    (name_of(node), node["Swarm"]["ClockAhead"].as_i64().unwrap_or_default())
}

/// By how much more than half of the others are off, where that is one thing; 0 where they are not. Of one
/// other node nobody can say which of both it is.
fn usual(others: &[i64]) -> i64 {
    let mut sorted = others.to_vec();
    sorted.sort_unstable();
    let Some(middle) = sorted.get(sorted.len() / 2).copied().filter(|_| sorted.len() > 1) else {
        return 0;
    };
    let alike = |ahead: &&i64| ahead.saturating_sub(middle).saturating_abs() <= NEAR;
    let is_usual = sorted.iter().filter(alike).count() * 2 > sorted.len();
    if is_usual && middle.saturating_abs() > NEAR { middle } else { 0 }
}

fn off(ahead: i64) -> String {
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    format!("{} {side}", ago(ahead.saturating_abs(), 0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(ahead: &[i64]) -> String {
        let mut nodes = vec![json!({"ID": "a", "Description": {"Hostname": "a"},
            "Status": {"State": "ready"}, "ManagerStatus": {"Leader": true}})];
        for (number, ahead) in ahead.iter().enumerate() {
            let mut node = json!({"ID": "n", "Description": {"Hostname": format!("n{number}")},
                "Status": {"State": "ready"}, "Swarm": {}});
            if *ahead != 0 {
                node["Swarm"]["ClockAhead"] = json!(ahead * 1_000_000_000);
            }
            nodes.push(node);
        }
        let mut verdict = Verdict::new(String::new());
        clocks(&nodes, &mut verdict);
        verdict.words()
    }

    #[test]
    fn whose_clock_is_off_is_named() {
        let (day, hour) = (86_400, 3_600);
        for (ahead, parts) in [
            (&[3 * day][..], &["clock of node n0 is 3 days ahead of the leader's"][..]),
            (&[0, -9, 0], &["clock of node n1 is 9 s behind the leader's"]),
            (
                &[-2 * hour, -2 * hour],
                &["clock of manager a, which leads, is 2 h ahead of the other nodes'"],
            ),
            (
                &[2 * hour, 2 * hour + 1, 0],
                &["which leads, is 2 h behind the other", "node n2 is 2 h behind most others'"],
            ),
        ] {
            let words = said(ahead);
            for part in parts {
                assert!(words.contains(part) && words.contains("by NTP"), "{part}: {words}");
            }
            assert_eq!(words.matches("clock of").count(), parts.len(), "{words}");
        }
        for well in [&[][..], &[0], &[0, 0, 0]] {
            assert!(!said(well).contains("clock"), "{well:?}");
        }
    }
}
