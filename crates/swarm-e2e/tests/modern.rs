//! Compose files of today on a swarm: `docker stack deploy` with what the format had last, and Compose v2
//! at the cluster endpoint with what came after it. Whatever the client sends is done, or refused by name.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarm_e2e::{Client, Daemons, Newer, Ran, Watch, exclusive, until};
use tempfile::TempDir;

const LONG: Duration = Duration::from_mins(1);

const STACK: &str = r#"
version: "3.13"
x-sleeper: &sleeper
  image: busybox:latest
  stop_signal: SIGKILL
services:
  web:
    <<: *sleeper
    command: ["sh", "-c", "cat /run/secrets/key /etc/greeting; echo; exec sleep 1d"]
    init: true
    hostname: "{{.Node.Hostname}}-{{.Task.Slot}}"
    ulimits: { nofile: { soft: 100, hard: 200 } }
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    sysctls: { net.core.somaxconn: "99" }
    healthcheck: { test: ["CMD", "true"], interval: 1s, start_period: 5s }
    configs: [{ source: greeting, target: /etc/greeting, mode: 0440, uid: "5", gid: "6" }]
    secrets: [{ source: key, target: key, mode: 0400, uid: "7" }]
    stop_grace_period: 3s
    deploy:
      replicas: 2
      update_config: { order: start-first, failure_action: rollback, monitor: 1s }
      rollback_config: { order: stop-first }
      placement: { max_replicas_per_node: 1 }
      resources: { limits: { cpus: "0.5", memory: 50M, pids: 50 }, reservations: { memory: 10M } }
  soon:
    <<: *sleeper
    command: ["sleep", "1d"]
    healthcheck: { test: ["CMD", "true"], start_interval: 500ms }
  everywhere: { <<: *sleeper, command: ["sleep", "1d"], deploy: { mode: global } }
  job: { <<: *sleeper, command: ["true"], deploy: { mode: replicated-job, replicas: 2 } }
  each: { <<: *sleeper, command: ["true"], deploy: { mode: global-job } }
configs: { greeting: { file: ./greeting } }
secrets: { key: { file: ./key } }
"#;

const PROJECT: &str = r#"
name: modern
services:
  db:
    image: busybox:latest
    command: ["sh", "-c", "sleep 1; touch /ready; exec sleep 1d"]
    stop_signal: SIGKILL
    healthcheck: { test: ["CMD", "test", "-e", "/ready"], interval: 500ms, retries: 60 }
  once: { image: "busybox:latest", command: ["true"] }
  web:
    image: busybox:latest
    command: ["sh", "-c", "cat /run/secrets/key /greeting; echo; exec sleep 1d"]
    stop_signal: SIGKILL
    init: true
    ulimits: { nofile: { soft: 100, hard: 200 } }
    cap_add: [NET_ADMIN]
    sysctls: { net.core.somaxconn: "99" }
    depends_on:
      db: { condition: service_healthy }
      once: { condition: service_completed_successfully }
    configs: [{ source: greeting, target: /greeting, mode: 0440 }]
    secrets: [{ source: key, target: key }]
    deploy: { replicas: 2, resources: { limits: { cpus: "0.5", memory: 50M } } }
    develop: { watch: [{ action: sync, path: ./src, target: /src }] }
  debug:
    image: busybox:latest
    profiles: [debug]
    command: ["sleep", "1d"]
    stop_signal: SIGKILL
configs: { greeting: { content: "good day" } }
secrets: { key: { file: ./key } }
"#;

#[test]
fn stacks_and_projects_of_today_run_on_a_swarm() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2], 1)?;
    let folder = TempDir::new()?;
    for (file, text) in
        [("stack.yml", STACK), ("compose.yml", PROJECT), ("key", "hunter2"), ("greeting", "hello")]
    {
        std::fs::write(folder.path().join(file), text)?;
    }
    stack(&nodes, folder.path()).with_context(|| nodes.logs())?;
    project(&nodes, folder.path()).with_context(|| nodes.logs())
}

fn stack(nodes: &Daemons<'_>, folder: &Path) -> Result<()> {
    let file = folder.join("stack.yml").display().to_string();
    let deploy = || nodes.docker(1, &["stack", "deploy", "--detach=true", "-c", &file, "app"]).ok();
    deploy()?;
    let told = |wanted: &[&str]| {
        until(LONG, format_args!("{wanted:?}"), || {
            let format = ["stack", "services", "--format", "{{.Name}} {{.Replicas}}", "app"];
            let listed = nodes.docker(1, &format).ok()?;
            let all = wanted.iter().all(|wanted| listed.lines().any(|line| line == *wanted));
            Ok(all.then_some(()))
        })
    };
    told(&[
        "app_web 2/2 (max 1 per node)",
        "app_everywhere 2/2",
        "app_job 0/2 (2/2 completed)",
        "app_each 0/0 (2/2 completed)",
    ])?;
    said("hunter2hello\nhunter2hello", || {
        nodes.docker(1, &["service", "logs", "--raw", "app_web"])
    })?;
    let listed = nodes.engine(2, &["ps", "--quiet", "--filter", "name=app_web"]).ok()?;
    let seen: Value = serde_json::from_str(&nodes.engine(2, &["inspect", &listed]).ok()?)?;
    let (config, host) = (&seen[0]["Config"], &seen[0]["HostConfig"]);
    limits(host)?;
    ensure!(host["PidsLimit"] == 50 && host["Memory"] == 50 << 20, "{host}");
    ensure!(host["CapDrop"][0].as_str().is_some_and(|cap| cap.ends_with("MKNOD")), "{host}");
    let hostname = config["Hostname"].as_str().unwrap_or_default();
    ensure!(hostname.starts_with("host-2-") && config["StopTimeout"] == 3, "{config}");
    ensure!(config["Healthcheck"]["StartPeriod"] == 5_000_000_000_i64, "{config}");
    let format = "{{.Spec.UpdateConfig.Order}} {{.Spec.UpdateConfig.FailureAction}} \
                  {{.Spec.RollbackConfig.Order}}";
    let shown = nodes.docker(1, &["service", "inspect", "--format", format, "app_web"]).ok()?;
    ensure!(shown == "start-first rollback stop-first", "{shown}");

    // What the node's engine is too old for is said by its name, and nothing else.
    until(LONG, "it runs, or says why not", || {
        let format = ["service", "ps", "--no-trunc", "--format", "{{.CurrentState}} {{.Error}}"];
        let told = nodes.docker(1, &[&format[..], &["app_soon"]].concat()).ok()?;
        let words = "Healthcheck.StartInterval needs an engine with API 1.44";
        Ok((told.starts_with("Running") || told.contains(words)).then_some(()))
    })?;
    // The same again changes nothing, and one that is not there any more is pruned.
    let tasks = || nodes.docker(1, &["service", "ps", "--quiet", "app_web"]).ok();
    let before = tasks()?;
    let file = folder.join("stack.yml");
    let shorter = STACK.lines().filter(|line| !line.trim_start().starts_with("everywhere:"));
    std::fs::write(&file, shorter.collect::<Vec<_>>().join("\n"))?;
    let file = file.display().to_string();
    nodes.docker(1, &["stack", "deploy", "--detach=true", "--prune", "-c", &file, "app"]).ok()?;
    let listed = nodes.docker(1, &["stack", "services", "--format", "{{.Name}}", "app"]).ok()?;
    ensure!(!listed.contains("everywhere") && listed.lines().count() == 4, "{listed}");
    ensure!(tasks()? == before, "the same restarts nothing");
    nodes.docker(1, &["service", "scale", "--detach", "app_web=3"]).ok()?;
    until(LONG, "the third says why it waits", || {
        let ps = ["service", "ps", "--no-trunc", "--format", "{{.Error}}", "app_web"];
        let told = nodes.docker(1, &ps).ok()?;
        Ok(told.contains("max replicas per node limit exceed").then_some(()))
    })?;
    nodes.docker(1, &["stack", "rm", "app"]).ok()?;
    until(LONG, "nothing is left of it", || {
        let left = |host| nodes.engine(host, &["ps", "--all", "--quiet"]).ok();
        Ok((left(1)?.is_empty() && left(2)?.is_empty()).then_some(()))
    })
}

/// Waits until this, and nothing else, is what containers have said: they run before they say it.
fn said(expected: &str, logs: impl Fn() -> Ran) -> Result<()> {
    let mut last = String::new();
    until(LONG, format_args!("{expected:?} is said"), || {
        last = logs().ok()?;
        ensure!(last.len() <= expected.len(), "more than {expected:?}: {last:?}");
        Ok((last == expected).then_some(()))
    })
    .with_context(|| last)
}

/// What both files ask for.
fn limits(host: &Value) -> Result<()> {
    ensure!(host["Init"] == true && host["NanoCpus"] == 500_000_000, "{host}");
    ensure!(host["Ulimits"][0]["Soft"] == 100 && host["Ulimits"][0]["Hard"] == 200, "{host}");
    ensure!(host["CapAdd"][0].as_str().is_some_and(|cap| cap.ends_with("NET_ADMIN")), "{host}");
    ensure!(host["Sysctls"]["net.core.somaxconn"] == "99", "{host}");
    Ok(())
}

fn project(nodes: &Daemons<'_>, folder: &Path) -> Result<()> {
    let socket = format!("unix://{}", nodes.folder(1).join("cluster.sock").display());
    let place = folder.display().to_string();
    // `watch` keeps its process's number at home, and believes an old one whose number is another's now.
    let client = Client::new(Newer::find()?.compose(), &socket).env("HOME", &*place);
    let docker = Client::new("docker", &socket);
    let compose =
        |words: &[&str]| -> Ran { client.run(&[&["--project-directory", &place], words].concat()) };
    std::fs::create_dir(folder.join("src"))?;
    compose(&["up", "--detach"]).ok()?;
    let format = ["ps", "--format", "{{.Name}} {{.State}} {{.Health}}"];
    let listed = compose(&format).ok()?;
    let of = |listed: &str, service: &str| {
        listed.lines().filter(|line| line.contains(&format!("/modern-{service}-"))).count()
    };
    ensure!(of(&listed, "web") == 2 && of(&listed, "debug") == 0, "{listed}");
    ensure!(listed.contains("/modern-db-1 running healthy"), "{listed}");
    let hosts = ["host-1/modern-web", "host-2/modern-web"];
    ensure!(hosts.iter().all(|host| listed.contains(host)), "{listed}");
    said("hunter2good day\nhunter2good day", || {
        compose(&["logs", "--no-color", "--no-log-prefix", "web"])
    })?;
    let web = docker.run(&["inspect", "modern-web-1", "modern-db-1"]).ok()?;
    let web: Value = serde_json::from_str(&web)?;
    limits(&web[0]["HostConfig"])?;
    let log = &web[1]["State"]["Health"]["Log"];
    let well = log.as_array().into_iter().flatten().find(|check| check["ExitCode"] == 0);
    let well = well.and_then(|check| check["End"].as_str()).context("db was never healthy")?;
    let well: jiff::Timestamp = well.parse()?;
    let begun = web[0]["State"]["StartedAt"].as_str().unwrap_or_default();
    ensure!(begun.parse::<jiff::Timestamp>()? > well, "{begun} {well}");
    ensure!(compose(&["exec", "-T", "--index", "2", "web", "echo", "two"]).ok()? == "two");
    ensure!(compose(&["run", "--rm", "-T", "--no-deps", "web", "echo", "run"]).ok()? == "run");

    let mut watch =
        Watch::start(client.command(&["--project-directory", &place, "watch", "--no-up"]))?;
    watch.wait_for("Watch enabled", LONG)?;
    std::fs::write(folder.join("src/file"), "synced")?;
    for index in ["1", "2"] {
        until(LONG, format_args!("web {index} has the file"), || {
            let read = ["exec", "-T", "--index", index, "web", "cat", "/src/file"];
            Ok(compose(&read).ok().is_ok_and(|read| read == "synced").then_some(()))
        })?;
    }
    watch.signal(nix::sys::signal::Signal::SIGINT)?;
    watch.wait_end(LONG)?;

    compose(&["--profile", "debug", "up", "--detach", "debug"]).ok()?;
    ensure!(of(&compose(&format).ok()?, "debug") == 1);
    compose(&["--profile", "debug", "down", "--timeout", "1"]).ok()?;
    let left = docker.run(&["ps", "--all", "--quiet", "--filter", "name=modern"]).ok()?;
    ensure!(left.is_empty(), "{left}");
    let networks = ["network", "ls", "--quiet", "--filter", "name=modern"];
    ensure!(docker.run(&networks).ok()?.is_empty());
    Ok(())
}
