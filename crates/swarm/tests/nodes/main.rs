//! `swarm node` and `swarm rebalance` against a `swarm manage` process over simulated engines.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail as its tests may.

#[path = "../manage/daemon.rs"]
#[allow(dead_code)]
mod daemon;
mod doctor;
mod top;

use std::process::Output;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use swarm_backend::full;
use swarm_engine::{ClientOptions, EngineAddress, EngineClient, Outgoing};
use swarm_testkit::fleet::{Fleet, FleetConfig};

use crate::daemon::Daemon;

/// Far more than anything here takes, on a busy machine too.
const SOON: Duration = Duration::from_secs(20);

struct Rig {
    fleet: Fleet,
    _daemon: Daemon,
    address: String,
    client: EngineClient,
}

impl Rig {
    async fn of(engines: usize) -> Self {
        let fleet = Fleet::start(FleetConfig { engines, ..FleetConfig::default() }).await.unwrap();
        let list: Vec<_> = fleet.addresses().iter().map(ToString::to_string).collect();
        let arguments = ["manage", "-H", "tcp://127.0.0.1:0", &list.join(",")];
        let daemon = Daemon::start(&arguments, &[]);
        let address = daemon.tcp_address().await;
        let parsed: EngineAddress = address.parse().unwrap();
        let client = EngineClient::new(parsed, ClientOptions::default());
        let rig = Self { fleet, _daemon: daemon, address: format!("tcp://{address}"), client };
        rig.until("all engines are ready", |output| {
            stdout(output).matches(" ready ").count() == engines
        })
        .await;
        rig
    }

    async fn swarm(&self, arguments: &[&str]) -> Output {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let address = self.address.clone();
        tokio::task::spawn_blocking(move || {
            assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("swarm"))
                .args(arguments)
                .env_clear()
                .env("DOCKER_HOST", address)
                .timeout(SOON * 2)
                .output()
                .unwrap()
        })
        .await
        .unwrap()
    }

    /// Lists nodes until the list is as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&Output) -> bool) {
        let end = Instant::now() + SOON;
        loop {
            let output = self.swarm(&["node", "ls"]).await;
            if wanted(&output) {
                return;
            }
            assert!(Instant::now() < end, "{what}: {output:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn post(&self, path: &str, body: &Value) {
        let mut outgoing = Outgoing::get(path);
        outgoing.method = Method::POST;
        if !body.is_null() {
            outgoing.headers.insert("content-type", "application/json".parse().unwrap());
            outgoing.body = full(body.to_string());
        }
        let reply = self.client.send(outgoing, Some(SOON)).await.unwrap();
        assert!(reply.status.is_success(), "{path}: {}", reply.status);
    }

    async fn run(&self, name: &str, body: Value) {
        self.post(&format!("/containers/create?name={name}"), &body).await;
        self.post(&format!("/containers/{name}/start"), &Value::Null).await;
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_cordoned_drained_and_taken_out() {
    let rig = Rig::of(2).await;
    let cordoned = rig.swarm(&["node", "cordon", "engine-0001"]).await;
    assert_eq!((code(&cordoned), stdout(&cordoned).trim()), (Some(0), "engine-0001 cordoned"));
    rig.run("web", json!({"Image": "busybox"})).await;
    let bound = json!({"Image": "busybox", "HostConfig": {"Binds": ["/srv:/srv"]}});
    rig.run("db", bound).await;
    let shown = rig.swarm(&["node", "inspect", "engine-0001"]).await;
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown[0]["Spec"]["Availability"], "pause");
    assert_eq!(code(&rig.swarm(&["node", "uncordon", "engine-0001"]).await), Some(0));

    let drained = rig.swarm(&["node", "drain", "engine-0000"]).await;
    assert_eq!(code(&drained), Some(0), "{drained:?}");
    assert_eq!(stdout(&drained), "engine-0000 drained: 1 moved\n");
    assert!(
        stderr(&drained)
            .contains("engine-0000: db cannot be moved: it has data there: host path /srv"),
        "{drained:?}"
    );
    let strict = rig.swarm(&["node", "drain", "--strict", "engine-0000"]).await;
    assert_eq!(code(&strict), Some(1));
    assert!(stderr(&strict).contains("1 cannot be moved"), "{strict:?}");
    let listed = stdout(&rig.swarm(&["node", "ls"]).await);
    let line = listed.lines().find(|line| line.starts_with("engine-0000")).unwrap();
    assert!(line.contains("drain") && line.contains("1 (1 running)"), "{listed}");

    let refused = rig.swarm(&["node", "rm", "engine-0000"]).await;
    assert_eq!(code(&refused), Some(1));
    assert!(stderr(&refused).contains("is not down and can't be removed"), "{refused:?}");
    let listed = rig.swarm(&["node", "rm", "--force", "engine-0000"]).await;
    assert!(stderr(&listed).contains("take it out there"), "a list is a person's: {listed:?}");
    let missing = rig.swarm(&["node", "inspect", "nobody"]).await;
    assert_eq!(
        (code(&missing), stderr(&missing).trim()),
        (Some(1), "swarm: node nobody not found")
    );
    assert_eq!(stdout(&rig.swarm(&["node", "ls", "-q"]).await), "engine-0000\nengine-0001\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_is_shown_and_then_applied() {
    let rig = Rig::of(2).await;
    assert_eq!(code(&rig.swarm(&["node", "cordon", "engine-0001"]).await), Some(0));
    for number in 0..4 {
        let body = json!({"Image": "busybox", "Env": ["reschedule:on-node-failure"]});
        rig.run(&format!("web-{number}"), body).await;
    }
    assert_eq!(code(&rig.swarm(&["node", "uncordon", "engine-0001"]).await), Some(0));
    let shown = rig.swarm(&["rebalance"]).await;
    assert_eq!(code(&shown), Some(0), "{shown:?}");
    let text = stdout(&shown);
    assert!(text.contains("start first") && text.contains("2 moves"), "{text}");
    assert!(text.contains("nothing was moved; --apply moves"), "{text}");
    assert_eq!(rig.fleet.engine(1).containers().0, 0);
    let applied = rig.swarm(&["rebalance", "--apply", "--at-once", "2"]).await;
    assert_eq!(code(&applied), Some(0), "{applied:?}");
    assert_eq!(stdout(&applied).matches(" moved to engine-0001").count(), 2, "{applied:?}");
    assert_eq!(rig.fleet.engine(1).containers().0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_tells_each_move_and_ends_in_order_when_interrupted() {
    let rig = Rig::of(2).await;
    assert_eq!(code(&rig.swarm(&["node", "cordon", "engine-0001"]).await), Some(0));
    for number in 0..6 {
        let body = json!({"Image": "busybox", "Env": ["reschedule:on-node-failure"]});
        rig.run(&format!("web-{number}"), body).await;
    }
    assert_eq!(code(&rig.swarm(&["node", "uncordon", "engine-0001"]).await), Some(0));
    rig.fleet.engine(1).delay(Duration::from_millis(200));
    let mut asked = Daemon::start(&["rebalance", "--apply"], &[("DOCKER_HOST", &rig.address)]);
    let end = Instant::now() + SOON;
    while rig.fleet.engine(1).containers().0 == 0 {
        assert!(Instant::now() < end, "no move is made: {}", asked.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    asked.signal("INT");
    asked.wait_for("it ends after the moves under way").await;
    let ended = tokio::task::spawn_blocking(move || (asked.wait(SOON), asked.log())).await;
    let (status, said) = ended.unwrap();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("1 moved, 2 not begun: it was stopped"), "{said}");
    assert_eq!(rig.fleet.engine(1).containers().0, 1);
}

#[test]
fn a_wrong_command_line_and_a_manager_that_is_not_there_are_told() {
    let swarm = |arguments: &[&str]| {
        let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("swarm"));
        command.args(arguments).env_clear().timeout(SOON).output().unwrap()
    };
    let table: &[(&[&str], i32, &str)] = &[
        (&["node", "ls", "-H", "ftp://x"], 2, "expected tcp://HOST:PORT or unix:///PATH"),
        (&["node", "ls", "--tlscert", "x"], 2, "require --tls or --tlsverify"),
        (&["node", "ls", "--tlsverify"], 2, "--tlsverify needs --tlscacert"),
        (&["node", "cordon"], 2, "<NODE>"),
        (&["node", "drain", "--timeout", "x", "a"], 2, "expected a duration"),
        (&["rebalance", "--at-once", "17"], 2, "17"),
        (&["node", "ls", "-H", "tcp://127.0.0.1:9"], 1, "cannot reach the manager"),
        (&["node", "ls", "-H", "unix:///nowhere/at/all"], 1, "cannot reach the manager"),
        (&["manage", "--cluster-opt", "swarm.rebalance=x", "a:1"], 2, "expected auto or off"),
    ];
    for (arguments, expected, words) in table {
        let output = swarm(arguments);
        assert_eq!(output.status.code(), Some(*expected), "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains(words), "{arguments:?}: {output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_says_whether_it_is_well() {
    let rig = Rig::of(2).await;
    let well = rig.swarm(&["status"]).await;
    assert_eq!(well.status.code(), Some(0), "{well:?}");
    assert!(stdout(&well).starts_with("healthy: 2 of 2 nodes ready, "), "{well:?}");
    rig.fleet.engines()[0].stop();
    rig.until("one is down", |output| stdout(output).contains(" down ")).await;
    let ill = rig.swarm(&["status", "--json"]).await;
    assert_eq!(ill.status.code(), Some(1), "{ill:?}");
    let verdict: Value = serde_json::from_slice(&ill.stdout).unwrap();
    assert_eq!(
        (&verdict["Status"], &verdict["Findings"][0]["Level"]),
        (&json!("warning"), &json!("warning"))
    );
    let todo = verdict["Findings"][0]["ToDo"].as_str().unwrap();
    assert!(todo.contains("swarm node rm "), "{verdict}");
    let nobody = rig.swarm(&["status", "-H", "tcp://127.0.0.1:1"]).await;
    assert_eq!(nobody.status.code(), Some(2), "{nobody:?}");
    assert!(
        stdout(&nobody).contains("cannot reach the manager at tcp://127.0.0.1:1"),
        "{nobody:?}"
    );
}
