//! An agent on a real engine, with a fake leader: what only a real container can show.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use swarm_agent::{Agent, AgentOptions, Dial};
use swarm_e2e::{Client, Lab, Scratch, exclusive, until};
use swarm_engine::{ClientOptions, EngineAddress, EngineClient, Raw};
use swarm_rpc::v1::{Assignments, LogsWanted, to_agent};
use swarm_testkit::leader::Leader;
use tonic::transport::{Channel, Endpoint};

const LONG: Duration = Duration::from_mins(1);

struct Plain;

#[async_trait::async_trait]
impl Dial for Plain {
    async fn channel(&self, address: &str) -> Result<Channel, swarm_backend::BoxError> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .http2_keep_alive_interval(Duration::from_millis(200))
            // No stall of a busy machine is a session's end.
            .keep_alive_timeout(Duration::from_secs(20))
            .keep_alive_while_idle(true);
        Ok(endpoint.connect().await?)
    }

    async fn tunnel(&self, address: &str) -> Result<Box<dyn Raw>, swarm_backend::BoxError> {
        Err(format!("{address} takes no tunnels in this test").into())
    }

    fn roots(&self) -> String {
        String::new()
    }
}

/// An agent for host 1, and its leader.
async fn start(lab: &Lab, files: &Path, leader: &Leader) -> Result<Agent> {
    let engine = EngineClient::new(EngineAddress::Unix(lab.sock(1)), ClientOptions::default());
    let sessions = leader.heard().sessions;
    let agent = Agent::start(AgentOptions {
        engine,
        dial: Arc::new(Plain),
        managers: vec![leader.address()],
        node_id: "n1".to_owned(),
        cluster_id: "c1".to_owned(),
        files: files.to_owned(),
        allows: Vec::new(),
    })?;
    leader.until("a session", |heard| heard.sessions > sessions).await?;
    Ok(agent)
}

fn id(name: &str) -> String {
    format!("{name:0>25}")
}

fn task(name: &str, command: &str, more: &Value) -> Value {
    let mut spec = json!({"Image": "busybox", "Command": ["sh", "-c", command], "Init": true});
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    json!({
        "ID": id(name), "ServiceID": "s1", "NodeID": "n1", "Slot": 1, "DesiredState": "running",
        "Status": {"State": "assigned"}, "ServiceAnnotations": {"Name": name},
        "Spec": {"ContainerSpec": spec},
    })
}

fn docker(lab: &Lab) -> Client {
    Client::new("docker", &format!("unix://{}", lab.sock(1).display()))
}

fn container(name: &str) -> String {
    format!("{name}.1.{}", id(name))
}

/// On tmpfs, and under one path for this process and the host's engine.
fn folder() -> Result<tempfile::TempDir> {
    Ok(tempfile::tempdir_in("/dev/shm")?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_what_its_task_says() -> Result<()> {
    let (lab, files, leader) = (exclusive()?, folder()?, Leader::start().await?);
    let agent = start(&lab, files.path(), &leader).await?;
    let mut web = task(
        "web",
        "echo out; echo err >&2; httpd -f -p 80",
        &json!({
            "Hostname": "{{.Service.Name}}-{{.Task.Slot}}", "Env": ["NODE={{.Node.Hostname}}"],
            "Hosts": ["10.1.2.3 db"], "StopGracePeriod": 1_000_000_000,
            "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}],
            "Secrets": [{"SecretID": "s1", "SecretName": "key",
                         "File": {"Name": "key", "UID": "7", "GID": "8", "Mode": 256}}],
            "Configs": [{"ConfigID": "c1", "ConfigName": "conf", "File": {"Name": "/etc/app/conf"}}],
            "Mounts": [{"Type": "tmpfs", "Target": "/scratch", "TmpfsOptions": {"SizeBytes": 65536}},
                       {"Type": "volume", "Target": "/anonymous"}],
        }),
    );
    web["Spec"]["Resources"] = json!({"Limits": {"MemoryBytes": 33_554_432, "Pids": 30}});
    web["HostPorts"] = json!([{"TargetPort": 80, "PublishMode": "host"}]);
    let data = |id: &str, name: &str, text: &str, templating: &Value| {
        json!({"ID": id, "CreatedAt": "2024-01-01T00:00:00Z", "UpdatedAt": "2024-01-01T00:00:00Z",
            "Spec": {"Name": name, "Data": STANDARD.encode(text), "Templating": templating}})
        .to_string()
    };
    let template = "node {{ env \"NODE\" }}, key {{ secret \"key\" }}";
    leader.say(to_agent::What::Assignments(Assignments {
        whole: true,
        tasks: vec![web.to_string().into()],
        secrets: vec![data("s1", "key", "hunter2", &Value::Null).into()],
        configs: vec![data("c1", "conf", template, &json!({"Name": "golang"})).into()],
        ..Assignments::default()
    }))?;
    let running = leader.state(&id("web"), "running").await?;
    let port = running["PortStatus"]["Ports"][0]["PublishedPort"].as_u64().context("a port")?;
    ensure!(port >= 1024, "{running}");
    ensure!(running["ContainerStatus"]["PID"].as_i64() > Some(0), "{running}");

    let inside =
        |command: &str| docker(&lab).run(&["exec", &container("web"), "sh", "-c", command]).ok();
    ensure!(inside("hostname")?.trim() == "web-1");
    ensure!(inside("cat /run/secrets/key")? == "hunter2");
    ensure!(inside("stat -c %u:%g:%a /run/secrets/key")?.trim() == "7:8:400");
    ensure!(inside("cat /etc/app/conf")? == "node host-1, key hunter2");
    ensure!(inside("grep db /etc/hosts")?.starts_with("10.1.2.3"));
    ensure!(inside("ulimit -Hn")?.trim() == "200");

    leader.say(to_agent::What::LogsWanted(LogsWanted {
        subscription: "l1".to_owned(),
        task_ids: vec![id("web")],
        stdout: true,
        stderr: true,
        follow: true,
        ..LogsWanted::default()
    }))?;
    let heard = leader.until("two lines", |heard| heard.logs.len() == 2).await?;
    let mut lines: Vec<(u32, &[u8])> =
        heard.logs.iter().map(|chunk| (chunk.stream, chunk.line.as_ref())).collect();
    lines.sort_unstable();
    ensure!(lines == [(1, &b"out\n"[..]), (2, &b"err\n"[..])], "{:?}", heard.logs);
    ensure!(heard.logs.iter().all(|chunk| chunk.at.ends_with('Z') && chunk.error.is_empty()));
    ensure!(leader.heard().logs_ended == 0, "it is followed");
    leader.say(to_agent::What::LogsOver("l1".to_owned()))?;
    leader.until("the end of the logs", |heard| heard.logs_ended == 1).await?;

    agent.stop(true).await?;
    ensure!(docker(&lab).run(&["ps", "--all", "--quiet"]).ok()?.is_empty());
    ensure!(docker(&lab).run(&["volume", "ls", "--quiet"]).ok()?.is_empty(), "the anonymous one");
    ensure!(std::fs::read_dir(files.path())?.next().is_none(), "no file of a secret is left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_ends_are_told_in_docker_s_words() -> Result<()> {
    let (lab, files, leader) = (exclusive()?, folder()?, Leader::start().await?);
    let _agent = start(&lab, files.path(), &leader).await?;
    let check = |test: &str| {
        json!({"Healthcheck": {"Test": ["CMD-SHELL", test], "Interval": 200_000_000,
                               "Timeout": 1_000_000_000, "Retries": 2}})
    };
    let mut nowhere = task("nowhere", "true", &json!({}));
    nowhere["Spec"]["ContainerSpec"]["Image"] = "nowhere.invalid/none:1".into();
    let mut broken = task("broken", "true", &json!({}));
    broken["Spec"]["ContainerSpec"]["Command"] = json!(["/nothing"]);
    // With an init, the container starts and the init fails.
    broken["Spec"]["ContainerSpec"]["Init"] = false.into();
    leader.assign(
        true,
        &[
            task("well", "sleep 600", &check("true")),
            task("sick", "sleep 600", &check("false")),
            task("done", "exit 0", &json!({})),
            task("bad", "exit 5", &json!({})),
            nowhere,
            broken,
        ],
        &[],
    )?;
    leader.state(&id("well"), "running").await?;
    leader.state(&id("done"), "complete").await?;
    for (task, state, words) in [
        ("sick", "failed", "task: non-zero exit (143): unhealthy container"),
        ("bad", "failed", "task: non-zero exit (5)"),
        ("nowhere", "rejected", "No such image: nowhere.invalid/none:1"),
        ("broken", "failed", "starting container failed: "),
    ] {
        let status = leader.state(&id(task), state).await?;
        ensure!(status["Err"].as_str().is_some_and(|err| err.starts_with(words)), "{status}");
    }
    let states = leader.heard().states(&id("sick"));
    ensure!(!states.contains(&"running".to_owned()), "never healthy: {states:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_our_restart_nor_the_engine_s_restarts_a_task() -> Result<()> {
    let (lab, files, leader) = (exclusive()?, folder()?, Leader::start().await?);
    let agent = start(&lab, files.path(), &leader).await?;
    let tasks = [task("a", "sleep 600", &json!({})), task("b", "sleep 600", &json!({}))];
    leader.assign(true, &tasks, &[])?;
    let before = leader.state(&id("a"), "running").await?["ContainerStatus"].clone();
    leader.state(&id("b"), "running").await?;
    agent.stop(false).await?;

    // Ours: adopted as it is.
    let agent = start(&lab, files.path(), &leader).await?;
    let mut known = tasks;
    for task in &mut known {
        task["Status"] = json!({"State": "running", "Message": "started"});
    }
    leader.assign(true, &known, &[])?;
    docker(&lab).run(&["kill", &container("b")]).ok()?;
    leader.state(&id("b"), "failed").await?;
    let state = ["inspect", "--format", "{{.State.Pid}}", &container("a")];
    let pid = docker(&lab).run(&state).ok()?;
    ensure!(pid.trim().parse::<i64>().ok() == before["PID"].as_i64(), "the same process");

    // The engine's: killed, it takes its containers with it when it is back, without live restore.
    let mut up = agent.engine_up();
    lab.kill_dockerd(1)?;
    up.wait_for(|up| !up).await?;
    ensure!(leader.heard().states(&id("a")).last().map(String::as_str) == Some("running"));
    lab.start_dockerd(1)?;
    let failed = leader.state(&id("a"), "failed").await?;
    ensure!(failed["Err"].as_str().is_some_and(|err| err.contains("non-zero exit")), "{failed}");
    leader.assign(false, &[task("c", "sleep 600", &json!({}))], &[&id("a"), &id("b")])?;
    leader.state(&id("c"), "running").await?;
    until(LONG, "only c to be left", || {
        let all = docker(&lab).run(&["ps", "--all", "--format", "{{.Names}}"]).ok()?;
        Ok((all.trim() == container("c")).then_some(()))
    })?;
    agent.stop(true).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_keeps_its_containers_may_go_and_come() -> Result<()> {
    let lab = Scratch::boot(1, |config| config.default.args.push("--live-restore".to_owned()))?;
    let (files, leader) = (folder()?, Leader::start().await?);
    let agent = start(&lab, files.path(), &leader).await?;
    let mut tasks = [task("a", "sleep 600", &json!({})), task("b", "cat /go; exit 3", &json!({}))];
    // Ends when the test says so: it reads a pipe.
    let pipe = files.path().join("go");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600))?;
    tasks[1]["Spec"]["ContainerSpec"]["Mounts"] =
        json!([{"Type": "bind", "Source": pipe, "Target": "/go"}]);
    leader.assign(true, &tasks, &[])?;
    leader.state(&id("a"), "running").await?;
    leader.state(&id("b"), "running").await?;
    let before = leader.heard().statuses[&id("a")].clone();

    let mut up = agent.engine_up();
    lab.kill_dockerd(1)?;
    up.wait_for(|up| !up).await?;
    std::fs::write(&pipe, "ends while its engine is away")?;
    lab.start_dockerd(1)?;
    let failed = leader.state(&id("b"), "failed").await?;
    ensure!(failed["Err"] == "task: non-zero exit (3)", "{failed}");
    ensure!(leader.heard().statuses[&id("a")] == before, "not a word on what goes on");
    let pid = ["inspect", "--format", "{{.State.Pid}}", &container("a")];
    let pid = docker(&lab).run(&pid).ok()?;
    let told = before.last().and_then(|status| status["ContainerStatus"]["PID"].as_i64());
    ensure!(pid.trim().parse::<i64>().ok() == told, "the same process");
    agent.stop(true).await?;
    Ok(())
}
