//! Every metric and label that alerts and dashboard name is one that a running manager tells.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use swarm_engine::{ClientOptions, EngineAddress, EngineClient};
use swarm_testkit::exposition::Exposition;
use swarm_testkit::fleet::{Fleet, FleetConfig};

use super::daemon::Daemon;
use super::expressions::{self, Selector};
use super::{alerts, dashboard, read};

/// Far more than anything here takes, on a busy machine too.
const SOON: Duration = Duration::from_secs(20);

/// Labels that Prometheus itself gives to what it reads.
const PROMETHEUS: [&str; 2] = ["job", "instance"];

/// How the names of those begin that a node of a swarm tells.
const OF_A_NODE: [&str; 3] = ["swarm_node_", "swarm_manager_", "swarm_raft_"];

/// The labels of each metric, with their values.
type Told = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn client(address: &str) -> EngineClient {
    let address: EngineAddress = address.parse().unwrap();
    EngineClient::new(address, ClientOptions::default())
}

/// What a manager tells of a pool with an engine that works and one that is not there.
async fn scrape() -> Told {
    let fleet = Fleet::start(FleetConfig { containers_per_engine: 3, ..FleetConfig::default() })
        .await
        .unwrap();
    let engines = format!("{},127.0.0.1:9", fleet.addresses()[0]);
    let line = ["manage", "-H", "tcp://127.0.0.1:0", "--metrics-addr", ":0", &engines];
    let daemon = Daemon::start(&line, &[]);
    let api = client(&daemon.tcp_address().await);
    let log = daemon.log();
    let metrics =
        client(log.split("metrics at http://").nth(1).unwrap().split('/').next().unwrap());
    let until = Instant::now() + SOON;
    loop {
        api.get_bytes("/info", 1 << 20, SOON).await.unwrap();
        let text = metrics.get_bytes("/metrics", 1 << 22, SOON).await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        let all =
            ["swarm_engine_failures_total{", r#"state="healthy"} 1"#, "swarm_store_operations"];
        if all.iter().all(|words| text.contains(words)) {
            return told(&Exposition::parse(&text));
        }
        assert!(Instant::now() < until, "the pool does not come up: {text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn told(exposition: &Exposition) -> Told {
    let mut told = Told::new();
    for (series, _) in exposition.series() {
        for Selector { metric, matchers } in expressions::read(series).selectors {
            let labels = told.entry(metric).or_default();
            for (name, _, value) in matchers {
                labels.entry(name).or_default().insert(value);
            }
        }
    }
    let of_up = told.entry("up".to_owned()).or_default();
    assert!(of_up.is_empty(), "Prometheus says itself who is up");
    told
}

/// What a node of a swarm tells, as the page has it: `swarm-node`'s own test compares the two.
fn of_swarm_mode(page: &str) -> Told {
    let mut told = Told::new();
    let rows = page.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    for row in rows.filter(|row| row.len() > 3) {
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let names: Vec<String> = quoted(row[1]);
        let of_a_node = |name: &&String| OF_A_NODE.iter().any(|begin| name.starts_with(begin));
        for name in names.iter().filter(of_a_node) {
            let histogram = row[2] == "histogram";
            let mut labels: Vec<String> = quoted(row[3]);
            labels.extend(histogram.then(|| "le".to_owned()));
            let name = if histogram { format!("{name}_bucket") } else { name.clone() };
            let entry = told.entry(name).or_default();
            entry.extend(labels.into_iter().map(|label| (label, BTreeSet::new())));
        }
    }
    assert!(told.len() > 10, "{told:?}");
    told
}

/// What is wrong with the names of an expression; `page` is docs/metrics.md.
fn wrong(expression: &str, told: &Told, page: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let named = expressions::read(expression);
    let mut labels: BTreeSet<&str> = PROMETHEUS.into();
    for Selector { metric, matchers } in &named.selectors {
        let Some(known) = told.get(metric) else {
            wrong.push(format!("no metric {metric}"));
            continue;
        };
        labels.extend(known.keys().map(String::as_str));
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| metric.strip_suffix(end))
            .unwrap_or(metric);
        let line = page
            .lines()
            .find(|line| line.starts_with("| ") && line.contains(&format!("`{family}`")));
        for (name, operator, value) in matchers {
            if PROMETHEUS.contains(&name.as_str()) {
                continue;
            }
            let Some(values) = known.get(name) else {
                wrong.push(format!("{metric} has no label {name}"));
                continue;
            };
            // A value that has not come up yet is at least one that the page tells of.
            let word = |word: &str| {
                let mut words = line.unwrap_or_default().split([' ', ';', '|']);
                values.contains(word) || words.any(|told| told == word)
            };
            let pattern = operator.contains('~');
            let alternatives = value.split('|').filter(|one| !pattern || !one.contains(".*"));
            for one in alternatives.filter(|one| !one.starts_with('$') && !word(one)) {
                wrong.push(format!("{metric} has no {name} {one:?}"));
            }
        }
    }
    let unknown = named.groups.iter().filter(|group| !labels.contains(group.as_str()));
    wrong.extend(unknown.map(|group| format!("no metric of it has the label {group}")));
    if named.selectors.is_empty() {
        wrong.push("it names no metric".to_owned());
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_dashboard_name_what_a_manager_tells() {
    let page = read("docs/metrics.md");
    let mut told = scrape().await;
    told.extend(of_swarm_mode(&page));
    for alert in alerts::all() {
        let wrong = wrong(&alert.expression, &told, &page);
        assert!(wrong.is_empty(), "{}: {}: {wrong:?}", alert.name, alert.expression);
    }
    for (panel, expression) in dashboard::expressions() {
        let wrong = wrong(&expression, &told, &page);
        assert!(wrong.is_empty(), "{panel}: {expression}: {wrong:?}");
    }
    for (expression, found) in [
        ("sum(swarm_nothing) > 0", "no metric swarm_nothing"),
        (r#"swarm_engines{status="healthy"} > 0"#, "swarm_engines has no label status"),
        (r#"swarm_engines{state="ill"} > 0"#, r#"swarm_engines has no state "ill""#),
        ("sum by (engine) (swarm_engines)", "no metric of it has the label engine"),
    ] {
        assert_eq!(wrong(expression, &told, &page), [found], "the check finds what is wrong");
    }
}
