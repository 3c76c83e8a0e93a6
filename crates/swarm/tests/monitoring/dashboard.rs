//! The dashboard has what Grafana needs to take it in, and asks for nothing that is not told.

use std::collections::BTreeSet;

use serde_json::Value;
use swarm_testkit::promtool;

use super::read;

const FILE: &str = "contrib/grafana/swarm.json";

/// Its expressions as Prometheus gets them, with where each stands: Grafana's variables are filled
/// in.
pub fn expressions() -> Vec<(String, String)> {
    let board = board();
    let mut found = Vec::new();
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push((text(&panel["title"]), filled(&target["expr"])));
        }
    }
    for annotation in board["annotations"]["list"].as_array().unwrap() {
        if annotation["expr"].is_string() {
            found.push((text(&annotation["name"]), filled(&annotation["expr"])));
        }
    }
    found
}

fn board() -> Value {
    serde_json::from_str(&read(FILE)).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn filled(expression: &Value) -> String {
    text(expression)
        .replace("$__rate_interval", "5m")
        .replace("$job", "swarm")
        .replace("$instance", ".*")
}

#[test]
fn its_expressions_are_prometheus_own() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yml");
    // JSON is YAML, and each expression a rule that records something.
    let check = |expressions: &[(String, String)]| {
        let recorded = expressions.iter().enumerate().map(|(number, (_, expression))| {
            serde_json::json!({ "record": format!("panel:{number}"), "expr": expression })
        });
        let recorded: Vec<_> = recorded.collect();
        let groups = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": recorded }] });
        std::fs::write(&rules, groups.to_string()).unwrap();
        promtool::run(&["check", "rules", rules.to_str().unwrap()])
    };
    let all = expressions();
    let unfilled = all.iter().find(|(_, expression)| expression.contains('$'));
    assert_eq!(unfilled, None, "a variable that nobody fills in");
    check(&all).unwrap();
    assert!(check(&[("wrong".into(), "sum(swarm_engines".into())]).is_err());
}

#[test]
fn grafana_can_take_it_in() {
    let board = board();
    // What Grafana's import asks for: no number of its own, a name, a version of the notation.
    assert!(board["id"].is_null() && !text(&board["title"]).is_empty());
    assert!((1..=40).contains(&text(&board["uid"]).len()), "Grafana's longest uid has 40");
    assert!(board["schemaVersion"].as_u64().unwrap() >= 36 && board["version"].is_u64());
    let variables = board["templating"]["list"].as_array().unwrap();
    let source = variables.iter().find(|variable| variable["type"] == "datasource").unwrap();
    assert_eq!((&source["name"], &source["query"]), (&"datasource".into(), &"prometheus".into()));
    let chosen = serde_json::json!({ "type": "prometheus", "uid": "${datasource}" });
    for variable in variables.iter().filter(|variable| variable["type"] == "query") {
        assert_eq!(variable["datasource"], chosen, "{variable}");
    }

    let required: BTreeSet<_> =
        board["__requires"].as_array().unwrap().iter().map(|one| text(&one["id"])).collect();
    let (mut ids, mut taken, mut titles) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in board["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "twice: {panel}");
        assert!(titles.insert(text(&panel["title"])), "twice: {}", panel["title"]);
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(place("w") > 0 && place("h") > 0 && place("x") + place("w") <= 24, "{panel}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{} stands on another panel", panel["title"]);
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(required.contains(&text(&panel["type"])), "{} is not required", panel["type"]);
        assert_eq!(panel["datasource"], chosen, "{}", panel["title"]);
        assert!(!text(&panel["description"]).is_empty(), "{}", panel["title"]);
        let targets = panel["targets"].as_array().unwrap();
        let names: BTreeSet<_> = targets.iter().map(|target| text(&target["refId"])).collect();
        assert!(!targets.is_empty() && names.len() == targets.len(), "{}", panel["title"]);
        for target in targets {
            assert_eq!(target["datasource"], chosen, "{}", panel["title"]);
        }
    }
}

/// A metric that is told and shown nowhere is told for nothing.
#[test]
fn it_shows_every_metric_of_the_page() {
    let shown: String =
        expressions().into_iter().map(|(_, expression)| expression + "\n").collect();
    let page = read("docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `swarm_"));
    let metrics: Vec<_> =
        rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    assert!(metrics.len() > 20, "{metrics:?}");
    for metric in metrics {
        assert!(shown.contains(metric), "{metric} is on no panel");
    }
}
