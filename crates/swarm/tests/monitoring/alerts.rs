//! Every alert fires for its fault and for no other, not at once where it is to wait, and is quiet
//! while all is well and when it is well again.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use swarm_testkit::promtool;

use super::series::Course::{self, Gone, Is, Restarts, Rises, Swings};
use super::series::{CALLS_IN_TIME, FAILURES, PARTS, READS_IN_TIME, WELL, WRITES_IN_TIME, samples};
use super::{read, repository};

pub const FILE: &str = "contrib/prometheus/alerts.yml";

/// An alert as the file has it.
#[derive(Debug, Default)]
pub struct Alert {
    pub name: String,
    pub expression: String,
    /// All its lines.
    pub text: String,
}

/// The alerts of the file, whose YAML is promtool's to check.
pub fn all() -> Vec<Alert> {
    let mut alerts: Vec<Alert> = Vec::new();
    let mut folded = false;
    for line in read(FILE).lines() {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            alerts.push(Alert { name: name.to_owned(), ..Alert::default() });
            continue;
        }
        let Some(alert) = alerts.last_mut() else { continue };
        alert.text.push_str(line);
        alert.text.push('\n');
        if let Some(expression) = line.strip_prefix("        expr: ") {
            folded = expression == ">-";
            if !folded {
                expression.clone_into(&mut alert.expression);
            }
        } else if folded && line.starts_with("          ") {
            alert.expression.push_str(line.trim());
            alert.expression.push(' ');
        } else {
            folded = false;
        }
    }
    alerts
}

/// A fault: what becomes of which series, and the alerts that it sets off.
struct Case {
    fires: &'static [&'static str],
    faults: &'static [(&'static str, Course)],
}

const fn case(fires: &'static [&'static str], faults: &'static [(&'static str, Course)]) -> Case {
    Case { fires, faults }
}

/// The beginning of a series' text is enough to name it; nothing named is every series.
const CASES: [Case; 39] = [
    case(&["SwarmAbsent"], &[("", Gone)]),
    case(&["SwarmManagerDown"], &[(r#"up{job="swarm",instance="b""#, Is(0.0))]),
    case(&["SwarmManagerRestarts"], &[("process_cpu_seconds_total", Restarts)]),
    case(&["SwarmNoPrimary"], &[(r#"swarm_primary{job="swarm",instance="a""#, Is(0.0))]),
    case(&["SwarmSeveralPrimaries"], &[(r#"swarm_primary{job="swarm",instance="b""#, Is(1.0))]),
    case(&["SwarmPrimaryFlaps"], &[("swarm_primary_changes_total", Rises(0.5))]),
    case(
        &["SwarmVersionsDiffer"],
        &[
            (r#"swarm_build_info{job="swarm",instance="a""#, Gone),
            (r#"swarm_build_info{job="swarm",instance="a",version="0.2.0",commit="y"}"#, Is(1.0)),
        ],
    ),
    case(&["SwarmFileDescriptors"], &[(r#"process_open_fds{job="swarm""#, Is(900.0))]),
    case(
        &["SwarmNoEngine"],
        &[
            (r#"swarm_engines{job="swarm",instance="a",state="healthy""#, Is(0.0)),
            (r#"swarm_engines{job="swarm",instance="b",state="healthy""#, Is(0.0)),
        ],
    ),
    case(
        &["SwarmEngineDown"],
        &[(r#"swarm_engines{job="swarm",instance="a",state="unhealthy""#, Is(1.0))],
    ),
    case(
        &["SwarmEnginePending"],
        &[(r#"swarm_engines{job="swarm",instance="a",state="pending""#, Is(1.0))],
    ),
    case(
        &["SwarmManagersDisagree"],
        &[(r#"swarm_engines{job="swarm",instance="b",state="healthy""#, Is(4.0))],
    ),
    case(&["SwarmEnginesFlap"], &[("swarm_engine_reconnects_total", Rises(0.5))]),
    case(&["SwarmEngineRequestsFail"], &[(FAILURES, Rises(5.0))]),
    case(
        &["SwarmContainersHostDown"],
        &[(r#"swarm_containers{job="swarm",instance="a",state="host_down""#, Is(7.0))],
    ),
    case(&["SwarmContainersNotMoved"], &[("swarm_moves_waiting", Is(2.0))]),
    case(
        &["SwarmMovesFail"],
        &[(r#"swarm_moves_total{job="swarm",instance="a",cause="drain""#, Rises(1.0))],
    ),
    case(&["SwarmPlacementsRefused"], &[("swarm_scheduling_refusals_total", Rises(2.0))]),
    case(
        &["SwarmCreatesFail"],
        &[(
            r#"swarm_container_creates_total{job="swarm",instance="a",result="failed""#,
            Rises(1.0),
        )],
    ),
    case(
        &["SwarmPlacementSlow"],
        &[(
            r#"swarm_scheduling_duration_seconds_bucket{job="swarm",instance="a",le="0.5""#,
            Rises(8.0),
        )],
    ),
    case(&["SwarmMemoryFull"], &[("swarm_memory_reserved_bytes", Is(9.5e9))]),
    case(&["SwarmCpusFull"], &[("swarm_cpus_reserved", Is(15.0))]),
    case(
        &["SwarmApiErrors"],
        &[(r#"swarm_api_requests_total{job="swarm",instance="a",status="5xx""#, Rises(30.0))],
    ),
    case(&["SwarmApiSlow"], &[(READS_IN_TIME, Rises(50.0))]),
    case(&["SwarmStoreUnreachable"], &[("swarm_store_reachable", Is(0.0))]),
    case(
        &["SwarmStoreErrors"],
        &[(
            r#"swarm_store_operations_total{job="swarm",instance="a",operation="put",result="unreachable""#,
            Rises(2.0),
        )],
    ),
    case(&["SwarmStoreSlow"], &[(CALLS_IN_TIME, Rises(25.0))]),
    case(&["SwarmStoreBehind"], &[("swarm_store_changes_pending", Is(3.0))]),
    case(&["SwarmNoLeader"], &[(r#"swarm_manager_leader{job="swarm-mode",instance="m""#, Is(0.0))]),
    case(&["SwarmQuorumAtRisk"], &[(r#"swarm_manager_managers_ready{job="swarm-mode""#, Is(2.0))]),
    case(&["SwarmLeaderFlaps"], &[(r#"swarm_manager_leader{job="swarm-mode""#, Swings)]),
    case(
        &["SwarmManagerLags"],
        &[(r#"swarm_manager_store_revision{job="swarm-mode",instance="n""#, Is(700.0))],
    ),
    case(&["SwarmStoreWritesSlow"], &[(WRITES_IN_TIME, Rises(25.0))]),
    case(
        &["SwarmNodesDown"],
        &[(r#"swarm_manager_nodes{job="swarm-mode",instance="m",state="down""#, Is(1.0))],
    ),
    case(&["SwarmStoreUnwritable"], &[("swarm_manager_store_writable", Is(0.0))]),
    case(&["SwarmClockOff"], &[("swarm_manager_nodes_clock_off", Is(2.0))]),
    case(&["SwarmServicesShort"], &[("swarm_manager_services_short", Is(2.0))]),
    case(&["SwarmTasksFail"], &[("swarm_manager_task_failures_total", Rises(2.0))]),
    case(
        &["SwarmCertificateEnds"],
        &[("swarm_node_certificate_expiry_timestamp_seconds", Is(3700.0))],
    ),
];

/// The checker's own notation of a case.
fn told(case: &Case) -> String {
    let mut text = format!("- name: {}\n  interval: 1m\n  input_series:\n", case.fires.join(" "));
    let mut met = BTreeSet::new();
    let mut add = |series: &str, samples: &str| {
        writeln!(text, "  - series: '{series}'\n    values: '{samples}'").unwrap();
    };
    for (series, well) in WELL {
        let fault = case.faults.iter().find(|(start, _)| series.starts_with(start));
        met.extend(fault.map(|(start, _)| *start));
        add(series, &samples(well, fault.map_or(well, |(_, course)| *course)));
    }
    for (series, course) in case.faults.iter().filter(|(start, _)| !met.contains(start)) {
        assert!(series.ends_with('}'), "{series} is no series of a pool that is well");
        add(series, &samples(Gone, *course));
    }
    text.push_str("  promql_expr_test:\n");
    let [well, wrong, again] = PARTS;
    // The fault's first sample is the one at `well`: one bad reading is no alert.
    for (minute, fires) in [
        (well - 1, &[][..]),
        (well, &[][..]),
        (well + wrong - 1, case.fires),
        (well + wrong + again - 1, &[][..]),
    ] {
        let expression = r#"group by (alertname) (ALERTS{alertstate="firing"})"#;
        writeln!(text, "  - expr: {expression}\n    eval_time: {minute}m").unwrap();
        text.push_str(if fires.is_empty() {
            "    exp_samples: []\n"
        } else {
            "    exp_samples:\n"
        });
        for alert in fires {
            writeln!(text, "    - labels: '{{alertname=\"{alert}\"}}'\n      value: 1").unwrap();
        }
    }
    text
}

#[test]
fn each_alert_fires_for_its_fault_alone() {
    let rules = repository(FILE);
    promtool::run(&["check", "rules", rules.to_str().unwrap()]).unwrap();
    let known: BTreeSet<_> = all().into_iter().map(|alert| alert.name).collect();
    let fired: BTreeSet<_> =
        CASES.iter().flat_map(|case| case.fires).map(ToString::to_string).collect();
    assert_eq!(known, fired, "each alert has a case, and each case its alert");

    let folder = tempfile::tempdir().unwrap();
    let tests = folder.path().join("tests.yml");
    let cases: String = CASES.iter().map(told).collect();
    let text =
        format!("rule_files: ['{}']\nevaluation_interval: 1m\ntests:\n{cases}", rules.display());
    std::fs::write(&tests, text).unwrap();
    promtool::run(&["test", "rules", tests.to_str().unwrap()]).unwrap();
}

#[test]
fn each_alert_says_how_bad_it_is_and_what_to_do() {
    for Alert { name, text, .. } in all() {
        assert!(
            text.contains("severity: critical") || text.contains("severity: warning"),
            "{name}"
        );
        assert!(text.contains("        annotations:\n          summary: "), "{name}");
        let (_, told) = text.split_once("          description: >-\n").unwrap();
        assert!(told.split_whitespace().count() > 15, "{name} says too little: {told}");
    }
}

#[test]
fn a_wrong_expectation_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let tests = folder.path().join("tests.yml");
    let wrong = told(&Case { fires: &["SwarmNoPrimary"], faults: &[] });
    let rules = repository(FILE);
    let text =
        format!("rule_files: ['{}']\nevaluation_interval: 1m\ntests:\n{wrong}", rules.display());
    std::fs::write(&tests, text).unwrap();
    let error = promtool::run(&["test", "rules", tests.to_str().unwrap()]).unwrap_err().to_string();
    assert!(error.contains("SwarmNoPrimary"), "{error}");
}
