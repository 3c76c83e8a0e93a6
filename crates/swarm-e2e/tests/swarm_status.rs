//! `swarm status`, `swarm top` and `swarm doctor` against a real swarm: what they say of it while it is
//! well, while a service lacks tasks, and when a node is gone.

use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Daemons, IMAGE, exclusive, swarm, until};
use swarm_testkit::lab::Lab;

const LONG: Duration = Duration::from_mins(1);

/// Runs a command of ours against an endpoint of a host's daemon.
fn ask(nodes: &Daemons<'_>, host: u8, endpoint: &str, arguments: &[&str]) -> Result<Output> {
    let socket = nodes.folder(host).join(endpoint);
    let mut command = Command::new(swarm()?);
    command.args(arguments).arg("--host").arg(format!("unix://{}", socket.display()));
    command.env("COLUMNS", "180").output().context("swarm")
}

fn text(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

/// Waits until the status has this code, and says all of this.
fn status(
    nodes: &Daemons<'_>,
    (host, endpoint): (u8, &str),
    code: i32,
    words: &[&str],
) -> Result<()> {
    let mut last = String::new();
    until(LONG, format_args!("the status {words:?}"), || {
        let output = ask(nodes, host, endpoint, &["status"])?;
        last = format!("{:?}: {}", output.status.code(), text(&output));
        let says = words.iter().all(|word| last.contains(word));
        Ok((output.status.code() == Some(code) && says).then_some(()))
    })
    .with_context(|| format!("{last}\n{}", nodes.logs()))
}

fn engine_of(lab: &Lab, host: u8) -> String {
    format!("unix://{}", lab.sock(host).display())
}

/// What `swarm doctor` says, run inside a host.
fn doctor(lab: &Lab, nodes: &Daemons<'_>, host: u8, endpoint: &str) -> Result<String> {
    let folder = nodes.folder(host);
    let (data, socket) = (folder.join("data"), folder.join(endpoint));
    let (data, socket) = (data.display().to_string(), format!("unix://{}", socket.display()));
    let (ours, engine) = (swarm()?.display().to_string(), engine_of(lab, host));
    let command = [&ours, "doctor", "--engine", &engine, "--data-dir", &data, "--host", &socket];
    Ok(text(&lab.exec(host, &command)?))
}

/// Waits until it says all of this.
fn told_by_doctor(
    lab: &Lab,
    nodes: &Daemons<'_>,
    (host, endpoint): (u8, &str),
    words: &[&str],
) -> Result<()> {
    let mut last = String::new();
    until(LONG, format_args!("the doctor {words:?}"), || {
        last = doctor(lab, nodes, host, endpoint)?;
        Ok(words.iter().all(|word| last.contains(word)).then_some(()))
    })
    .with_context(|| last)
}

/// A firewall that lets connections out of host 2 and none in: only the other end can tell.
fn ways_are_tried_from_both_ends(lab: &Lab, nodes: &Daemons<'_>) -> Result<()> {
    nodes.node(1, &["promote", "host-2"])?;
    let shut = "nft 'add table inet shut; add chain inet shut in { type filter hook input priority 0; }; \
                add rule inet shut in tcp dport 2377 ct state new reject with tcp reset'";
    let both = "2 of 2 ways between host-1 and the managers are open";
    let closed = format!("node host-1 does not reach manager host-2 at {}:2377: ", lab.ip(2));
    told_by_doctor(lab, nodes, (1, "docker.sock"), &[both])?;
    told_by_doctor(lab, nodes, (2, "cluster.sock"), &["2 of 2 ways between"])?;
    lab.sh(2, shut)?;
    told_by_doctor(lab, nodes, (2, "docker.sock"), &[&closed, "1 of 2 ways between host-2 and"])?;
    told_by_doctor(
        lab,
        nodes,
        (1, "docker.sock"),
        &["this machine does not reach manager host-2"],
    )?;
    lab.sh(2, "nft delete table inet shut")?;
    nodes.node(1, &["demote", "host-2"])?;
    told_by_doctor(lab, nodes, (1, "docker.sock"), &["this machine reaches 1 of 1 managers"])
}

#[test]
fn a_swarm_is_judged_by_what_its_manager_and_its_hosts_say() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::start(&lab, &[1, 2])?;
    let (node, cluster) = ("docker.sock", "cluster.sock");
    status(&nodes, (1, node), 2, &["this node is in no swarm", "docker swarm init"])?;
    nodes.docker(1, &["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    nodes.join(2, 1, "worker")?.ok()?;
    nodes.ready(1, 2)?;

    // Well, and what a person may want to know.
    let create = ["service", "create", "--detach", "--stop-signal", "KILL", "--name"];
    let sleep = [IMAGE, "sleep", "1d"];
    let web = [
        &create[..],
        &["web", "--replicas", "2", "--reserve-memory", "64m", "--env", "KEY=s3cret"],
        &sleep,
    ]
    .concat();
    nodes.docker(1, &web).ok()?;
    let well = ["2 of 2 nodes ready, 1 of 1 services whole, leader host-1", "there is one"];
    status(&nodes, (1, node), 0, &well)?;
    status(&nodes, (1, cluster), 0, &well)?;
    let managers = format!("a worker of a swarm whose managers are {}:2377", lab.ip(1));
    status(&nodes, (2, node), 0, &[&managers])?;

    // A service that fits nowhere.
    let stuck = ["stuck", "--constraint", "node.labels.disk==ssd"];
    nodes.docker(1, &[&create[..], &stuck, &sleep].concat()).ok()?;
    let lacks = ["service stuck: 0 of 1 run: 1 × no suitable node", "1 of 2 services whole"];
    status(&nodes, (1, node), 1, &lacks)?;
    let top = text(&ask(&nodes, 1, node, &["top", "--once"])?);
    for words in
        ["2 of 3 tasks and containers running", "leader host-1", "web.1", "stuck.1", "64 MiB"]
    {
        ensure!(top.contains(words), "{words} is not in\n{top}");
    }
    ensure!(top.lines().any(|line| line.starts_with("host-2") && line.contains("worker")), "{top}");

    // The host of the manager, looked at from inside it.
    let (engine, data) = (engine_of(&lab, 1), nodes.folder(1).join("data").display().to_string());
    let said = doctor(&lab, &nodes, 1, node)?;
    for words in [
        "this machine, and a swarm: 2 of 2 nodes ready",
        "swarm-node.pem",
        "and is renewed before",
        "the swarm's store at",
        "this machine reaches 1 of 1 managers",
        "the swarm's root",
        "service stuck: 0 of 1 run",
    ] {
        ensure!(said.contains(words), "{words} is not in\n{said}");
    }
    ensure!(!said.contains("ways between"), "one manager, asked there, has none: {said}");
    let said = doctor(&lab, &nodes, 2, node)?;
    for words in ["this machine reaches 1 of 1 managers", "1 of 1 ways between host-2 and"] {
        ensure!(said.contains(words), "{words} is not in\n{said}");
    }

    ways_are_tried_from_both_ends(&lab, &nodes)?;

    // What is passed on to somebody who helps.
    let bundle = nodes.folder(1).join("support.tar.gz").display().to_string();
    let made = ask(
        &nodes,
        1,
        node,
        &["support-bundle", &bundle, "--engine", &engine, "--data-dir", &data],
    )?;
    ensure!(made.status.success(), "{}", text(&made));
    let token = nodes.docker(1, &["swarm", "join-token", "--quiet", "worker"]).ok()?;
    let read = Command::new("tar").args(["-xzOf", &bundle]).output().context("tar")?;
    let read = text(&read);
    for words in
        ["\"Name\": \"web\"", "DesiredState", "\"JoinTokens\"", "journalctl", "NodeCertExpiry"]
    {
        ensure!(read.contains(words), "{words} is not in\n{read}");
    }
    for secret in ["s3cret", token.trim()] {
        ensure!(!read.contains(secret), "{secret} is in it");
    }

    // Nodes by our own command.
    let nodes_of = |arguments: &[&str]| -> Result<String> {
        let output = ask(&nodes, 1, node, &[&["node"], arguments].concat())?;
        ensure!(output.status.success(), "{arguments:?}: {}", text(&output));
        Ok(text(&output))
    };
    let names = nodes_of(&["ls", "--quiet"])?;
    ensure!(names.contains("host-1\n") && names.contains("host-2\n"), "{names:?}");
    ensure!(nodes_of(&["ls"])?.contains("manager, leader"), "who leads");
    ensure!(nodes_of(&["cordon", "host-2"])?.contains("host-2 cordoned"), "cordoned");
    let drained = nodes_of(&["drain", "host-2"])?;
    ensure!(drained.contains("host-2 drained: 1 moved"), "{drained}");
    let left = ["node", "ps", "--filter", "desired-state=running", "--quiet", "host-2"];
    ensure!(nodes.docker(1, &left).ok()?.trim().is_empty(), "nothing is left on it");
    nodes_of(&["uncordon", "host-2"])?;
    ensure!(nodes_of(&["ls"])?.matches("active").count() == 2, "both are given tasks again");

    // A node is gone.
    nodes.power_cut(2)?;
    let silent =
        ["1 of 2 nodes ready", "node host-2 is down since ", "docker node rm --force host-2"];
    status(&nodes, (1, node), 1, &silent)
}
