//! Secrets, configs, logs and stacks on a swarm of real engines, by the plain `docker` client.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use swarm_e2e::{Daemons, IMAGE, Watch, exclusive, until};

const LONG: Duration = Duration::from_mins(1);

#[test]
fn secrets_and_configs_reach_their_tasks_alone() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2], 1)?;
    nodes.client(1).feed(&["secret", "create", "key", "-"], b"hunter2").ok()?;
    let template = b"on {{ .Node.Hostname }}, task {{ .Task.Slot }}";
    let create = ["config", "create", "--template-driver", "golang", "greeting", "-"];
    nodes.client(1).feed(&create, template).ok()?;
    let shown = nodes.docker(1, &["secret", "inspect", "key"]).ok()?;
    ensure!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");

    let read =
        "stat -c '%a %u' /run/secrets/key; cat /run/secrets/key /etc/greeting; echo; exec sleep 1d";
    let create = ["service", "create", "--name", "web", "--stop-signal", "KILL"];
    let more = [
        "--constraint",
        "node.hostname==host-2",
        "--secret",
        "source=key,mode=0400,uid=7",
        "--config",
        "source=greeting,target=/etc/greeting",
        IMAGE,
        "sh",
        "-c",
        read,
    ];
    nodes.docker(1, &[&create[..], &more].concat()).ok()?;
    let told = until(LONG, "it has told what it has", || {
        let told = nodes.docker(1, &["service", "logs", "--raw", "web"]).ok()?;
        Ok(told.contains("task").then_some(told))
    })?;
    ensure!(told.contains("400 7") && told.contains("hunter2on host-2, task 1"), "{told}");

    let told = nodes.docker(1, &["secret", "rm", "key"]).fails()?;
    ensure!(told.contains("is in use by the following service: web"), "{told}");
    let on = |host, path: &str| lab.sh(host, &format!("find {path} -type f | wc -l"));
    ensure!(on(2, "/run/swarm")?.trim() == "2", "the files are there, in memory");
    ensure!(on(1, "/run/swarm").is_ok_and(|count| count.trim() == "0"), "and nowhere else");
    nodes.docker(1, &["service", "rm", "web"]).ok()?;
    until(LONG, "the files go with their task", || {
        Ok((on(2, "/run/swarm")?.trim() == "0").then_some(()))
    })?;
    nodes.docker(1, &["secret", "rm", "key"]).ok()?;
    Ok(())
}

/// Answers what a secrets plugin is asked, until the test ends: a value of its own for each task, and
/// nothing for a secret called `none`. What it was asked goes to `seen`.
fn provider(listener: TcpListener, seen: Sender<Value>) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Err(error) = answer(stream, &seen) {
                eprintln!("the plugin: {error:#}");
            }
        }
    });
}

fn answer(stream: TcpStream, seen: &Sender<Value>) -> Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut size) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            size = length.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; size];
    reader.read_exact(&mut body)?;
    let answer = if head.starts_with("POST /Plugin.Activate ") {
        json!({"Implements": ["secretprovider"]})
    } else {
        let asked: Value = serde_json::from_slice(&body)?;
        let value = format!("of {}", asked["TaskName"].as_str().unwrap_or_default());
        let answer = if asked["SecretName"] == "none" {
            json!({"Err": "the vault is sealed"})
        } else {
            json!({"Value": STANDARD.encode(value), "DoNotReuse": true})
        };
        seen.send(asked)?;
        answer
    };
    let answer = answer.to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
    reader.get_mut().write_all((head + &answer).as_bytes())?;
    Ok(())
}

#[test]
fn a_driver_has_the_values_of_its_secrets() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2], 1)?;
    let (seen, asked) = channel();
    provider(lab.listen(1, 9999)?, seen);
    let spec = format!("tcp://{}:9999", lab.ip(1));
    lab.sh(
        1,
        &format!("mkdir -p /etc/docker/plugins; echo {spec} > /etc/docker/plugins/vault.spec"),
    )?;
    nodes
        .docker(1, &["secret", "create", "--driver", "vault", "--label", "path=a/b", "key"])
        .ok()?;
    let listed = nodes.docker(1, &["secret", "ls", "--format", "{{.Name}} {{.Driver}}"]).ok()?;
    ensure!(listed == "key vault", "{listed}");
    let create = ["service", "create", "--name", "web", "--replicas", "2", "--stop-signal", "KILL"];
    let more = [
        "--constraint",
        "node.hostname==host-2",
        "--label",
        "team=blue",
        "--secret",
        "key",
        IMAGE,
        "sh",
        "-c",
        "cat /run/secrets/key; echo; exec sleep 1d",
    ];
    nodes.docker(1, &[&create[..], &more].concat()).ok()?;
    let told = nodes.docker(1, &["service", "logs", "--raw", "web"]).ok()?;
    let mut lines: Vec<_> = told.lines().collect();
    lines.sort_unstable();
    ensure!(
        lines.len() == 2 && lines[0].starts_with("of web.1.") && lines[1].starts_with("of web.2."),
        "each task has its own: {told}"
    );
    let first = asked.recv_timeout(LONG)?;
    ensure!(first["SecretName"] == "key" && first["SecretLabels"]["path"] == "a/b", "{first}");
    ensure!(first["ServiceName"] == "web" && first["ServiceLabels"]["team"] == "blue", "{first}");

    // One that gives nothing: the task says why, and the service waits for the next.
    nodes.docker(1, &["secret", "create", "--driver", "vault", "none"]).ok()?;
    nodes.docker(1, &["secret", "create", "--driver", "nobody", "lost"]).ok()?;
    for (secret, words) in
        [("none", "the vault is sealed"), ("lost", "plugin \"nobody\" not found")]
    {
        let create = ["service", "create", "--detach", "--name", secret, "--secret", secret];
        nodes.docker(1, &[&create[..], &[IMAGE, "sleep", "1d"]].concat()).ok()?;
        until(LONG, format_args!("the task of {secret} says why"), || {
            let ps =
                ["service", "ps", "--no-trunc", "--format", "{{.CurrentState}} {{.Error}}", secret];
            let told = nodes.docker(1, &ps).ok()?;
            let is_told = |line: &str| line.starts_with("Rejected") && line.contains(words);
            Ok(told.lines().any(is_told).then_some(()))
        })?;
        nodes.docker(1, &["service", "rm", secret]).ok()?;
    }
    Ok(())
}

#[test]
fn logs_of_all_nodes_are_merged_at_any_manager() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2, 3], 3)?;
    let say = "echo I am $(hostname); echo and an error >&2; exec sleep 1d";
    let create =
        ["service", "create", "--name", "talk", "--mode", "global", "--stop-signal", "KILL"];
    let more = ["--hostname", "{{.Node.Hostname}}", IMAGE, "sh", "-c", say];
    nodes.docker(1, &[&create[..], &more].concat()).ok()?;
    for host in 1..=3 {
        until(LONG, format_args!("host {host} shows all lines"), || {
            let ran = nodes.docker(host, &["service", "logs", "talk"]).output()?;
            let told = String::from_utf8_lossy(&ran.stdout).into_owned();
            let all = (1..=3).all(|n| {
                told.lines().any(|line| {
                    line.contains(&format!("@host-{n}"))
                        && line.ends_with(&format!("I am host-{n}"))
                })
            });
            let errors = String::from_utf8_lossy(&ran.stderr).matches("and an error").count();
            Ok((all && errors == 3).then_some(()))
        })?;
    }
    let tail = nodes.docker(2, &["service", "logs", "--tail", "1", "--raw", "talk"]).ok()?;
    ensure!(tail.lines().count() <= 3, "{tail}");
    Ok(())
}

#[test]
fn a_stack_is_deployed_changed_and_removed() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::swarm(&lab, &[1, 2], 1)?;
    let compose = |replicas: u8| {
        format!(
            r#"version: "3.8"
services:
  web:
    image: {IMAGE}
    command: ["sleep", "1d"]
    stop_signal: SIGKILL
    environment: {{ COLOUR: blue }}
    configs: [ greeting ]
    secrets: [ key ]
    deploy:
      replicas: {replicas}
      update_config: {{ parallelism: 2, order: stop-first }}
      restart_policy: {{ condition: on-failure }}
  everywhere:
    image: {IMAGE}
    command: ["sleep", "1d"]
    stop_signal: SIGKILL
    deploy: {{ mode: global }}
configs:
  greeting: {{ file: ./greeting }}
secrets:
  key: {{ file: ./key }}
"#
        )
    };
    lab.put("greeting", "hello")?;
    lab.put("key", "hunter2")?;
    let file = lab.put("stack.yaml", compose(3))?;
    let merged = ["stack", "config", "--compose-file", &file.display().to_string()];
    let merged = nodes.docker(1, &merged).ok()?;
    ensure!(merged.contains("COLOUR: blue") && merged.contains("parallelism: 2"), "{merged}");
    let deploy = ["stack", "deploy", "--compose-file", &file.display().to_string(), "app"];
    nodes.docker(1, &deploy).ok()?;
    let replicas = |wanted: &[&str]| {
        until(LONG, format_args!("{wanted:?}"), || {
            let listed = nodes
                .docker(1, &["stack", "services", "--format", "{{.Name}} {{.Replicas}}", "app"])
                .ok()?;
            Ok(wanted.iter().all(|one| listed.contains(one)).then_some(()))
        })
    };
    replicas(&["app_web 3/3", "app_everywhere 2/2"])?;
    let tasks = || {
        let running = ["--filter", "desired-state=running", "--format", "{{.ID}}", "app"];
        let told =
            nodes.docker(1, &[&["stack", "ps", "--no-trunc"][..], &running].concat()).ok()?;
        anyhow::Ok(told.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>())
    };
    let before = tasks()?;
    nodes.docker(1, &deploy).ok()?;
    ensure!(tasks()? == before, "the same again restarts nothing");
    lab.put("stack.yaml", compose(4))?;
    nodes.docker(1, &deploy).ok()?;
    replicas(&["app_web 4/4"])?;
    ensure!(before.is_subset(&tasks()?), "one more is one more");

    nodes.docker(1, &["stack", "rm", "app"]).ok()?;
    for host in [1, 2] {
        until(LONG, "nothing is left of it", || {
            Ok(nodes.engine(host, &["ps", "--all", "--quiet"]).ok()?.is_empty().then_some(()))
        })?;
    }
    for kind in ["secret", "config", "service"] {
        ensure!(nodes.docker(1, &[kind, "ls", "--quiet"]).ok()?.is_empty(), "{kind}s are gone");
    }
    Ok(())
}

#[test]
fn logs_are_followed_while_a_node_dies_and_comes_back() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3], 1)?;
    let talk = "n=0; while :; do echo $(hostname) says $n; n=$((n + 1)); sleep 0.2; done";
    let create = ["service", "create", "--quiet", "--name", "talk", "--mode", "global"];
    let own = ["--hostname", "{{.Node.Hostname}}", "--stop-signal", "KILL"];
    let label = ["--container-label", "team=red", "--log-driver", "json-file"];
    let label = [&label[..], &["--log-opt", "labels=team"]].concat();
    nodes.docker(1, &[&create[..], &own, &label, &[IMAGE, "sh", "-c", talk]].concat()).ok()?;
    let logs =
        |more: &[&str]| nodes.docker(1, &[&["service", "logs"], more, &["talk"]].concat()).ok();
    until(LONG, "there is something to leave out", || {
        Ok(logs(&["--raw"])?.contains("host-2 says 9").then_some(()))
    })?;
    let since = jiff::Timestamp::now().to_string();
    let follow = ["service", "logs", "--follow", "--details", "--since", &since, "talk"];
    let mut client = Watch::start(nodes.client(1).command(&follow))?;
    for host in ["host-1", "host-2", "host-3"] {
        let line = client.wait_for(&format!("{host} says "), LONG)?;
        ensure!(line.contains("team=red "), "{line}");
    }
    ensure!(!client.lines().iter().any(|line| line.ends_with(" says 3")), "{:?}", client.lines());

    nodes.power_cut(3)?;
    let said = |host: &str| {
        let of_it = format!("{host} says ");
        client.lines().iter().filter(|line| line.contains(&of_it)).count()
    };
    until(LONG, "the node is down", || {
        let state = ["node", "inspect", "--format", "{{.Status.State}}", "host-3"];
        Ok((nodes.docker(1, &state).ok()? == "down").then_some(()))
    })?;
    let (others, its) = (said("host-2"), said("host-3"));
    until(LONG, "the others are followed", || Ok((said("host-2") > others + 5).then_some(())))?;
    ensure!(said("host-3") == its, "nobody can say more of it");
    // It comes back, and so do its lines.
    lab.start(3)?;
    nodes.launch(3, &[])?;
    until(LONG, "it is followed again", || Ok((said("host-3") > its + 5).then_some(())))?;
    ensure!(client.runs()?, "{:?}", client.lines());
    Ok(())
}
