//! Plain containers of the cluster endpoint whose node loses its power: they run elsewhere, also when the
//! node led the swarm, and there is one of each when it is back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Client, Daemons, IMAGE, exclusive, until};

const LONG: Duration = Duration::from_mins(1);

/// The plain client of a host's cluster endpoint.
fn cluster(nodes: &Daemons<'_>, host: u8) -> Client {
    let socket = nodes.folder(host).join("cluster.sock");
    Client::new("docker", &format!("unix://{}", socket.display()))
}

/// Runs one on a host that is asked for and may be another later.
fn run(docker: &Client, name: &str, host: u8, more: &[&str]) -> Result<()> {
    let wish = format!("constraint:node==~host-{host}");
    let run = ["run", "--detach", "--name", name, "-e", &wish, "--stop-signal", "KILL"];
    docker.run(&[&run[..], more, &[IMAGE, "sleep", "1d"]].concat()).ok().map(drop)
}

/// Where a container runs, as an endpoint tells; `None` while it does not.
fn place(docker: &Client, name: &str) -> Option<String> {
    let format = ["ps", "--format", "{{.Names}} {{.Status}}"];
    let listed = docker.run(&format).ok().ok()?;
    let end = format!("/{name}");
    listed.lines().find_map(|line| {
        let (path, status) = line.split_once(' ')?;
        let node = path.strip_suffix(&end)?;
        status.starts_with("Up").then(|| node.to_owned())
    })
}

/// Waits until a container runs on another host; how long it took.
fn moved(nodes: &Daemons<'_>, docker: &Client, name: &str, from: &str) -> Result<()> {
    until(LONG, format_args!("{name} runs elsewhere"), || {
        Ok(place(docker, name).filter(|node| node != from).map(drop))
    })
    .with_context(|| nodes.logs())
}

/// The host is back, and waits until each of these is there once, whatever engine is asked.
fn back(nodes: &mut Daemons<'_>, host: u8, names: &[&str]) -> Result<()> {
    nodes.lab().start(host)?;
    nodes.launch(host, &[])?;
    let alive = if host == 1 { 2 } else { 1 };
    nodes.ready(alive, 3)?;
    until(LONG, format_args!("one copy of each of {names:?}"), || {
        let mut found = Vec::new();
        for host in 1..=3 {
            let listed = nodes.engine(host, &["ps", "--all", "--format", "{{.Names}}"]).ok()?;
            found.extend(listed.lines().map(str::to_owned));
        }
        let is_single = |name: &&str| found.iter().filter(|known| known == name).count() == 1;
        Ok(names.iter().all(is_single).then_some(()))
    })
    .with_context(|| nodes.logs())
}

#[test]
fn containers_run_elsewhere_when_their_node_fails_and_are_there_once() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3], 3)?;
    let docker = cluster(&nodes, 2);
    let info = ["info", "--format", "{{json .SystemStatus}} {{.Swarm.NodeID}} {{.Swarm.NodeAddr}}"];
    let told = until(LONG, "all engines are there", || {
        let told = docker.run(&info).ok().unwrap_or_default();
        Ok((told.matches("\"Healthy\"").count() == 3).then_some(told))
    })
    .with_context(|| nodes.logs())?;
    // The leader is host 1; the manager that was asked says who it is.
    let own =
        nodes.docker(2, &["info", "--format", "{{.Swarm.NodeID}} {{.Swarm.NodeAddr}}"]).ok()?;
    ensure!(told.ends_with(&own) && own.ends_with(&lab.ip(2)), "{told}\n{own}");

    let label = ["--label", "com.docker.swarm.reschedule-policies=[\"on-node-failure\"]"];
    run(&docker, "web", 3, &["-e", "reschedule:on-node-failure", "--restart", "always"])?;
    run(&docker, "named", 3, &label)?;
    run(&docker, "stays", 3, &[])?;
    run(&docker, "lead", 1, &["-e", "reschedule:on-node-failure"])?;
    for (name, node) in
        [("web", "host-3"), ("named", "host-3"), ("stays", "host-3"), ("lead", "host-1")]
    {
        ensure!(place(&docker, name).as_deref() == Some(node), "{name} is not on {node}");
    }

    let begin = Instant::now();
    nodes.power_cut(3)?;
    moved(&nodes, &docker, "web", "host-3")?;
    moved(&nodes, &docker, "named", "host-3")?;
    println!("a node's power cut: its containers elsewhere after {:.1?}", begin.elapsed());
    let listed = docker.run(&["ps", "--all", "--format", "{{.Names}} {{.Status}}"]).ok()?;
    ensure!(listed.contains("host-3/stays Host Down"), "{listed}");
    let taken = docker.run(&["create", "--name", "stays", IMAGE]).fails()?;
    ensure!(taken.contains("in use"), "{taken}");
    back(&mut nodes, 3, &["web", "named", "stays", "lead"])?;
    let kept = nodes.engine(3, &["ps", "--all", "--format", "{{.Names}}"]).ok()?;
    ensure!(kept == "stays", "only what may not move is still there: {kept}");

    // What was asked of one leader the next one knows.
    let begin = Instant::now();
    nodes.power_cut(1)?;
    moved(&nodes, &docker, "lead", "host-1")?;
    println!("the leader's power cut: its containers elsewhere after {:.1?}", begin.elapsed());
    back(&mut nodes, 1, &["web", "named", "stays", "lead"])?;
    docker.run(&["rm", "--force", "web", "named", "stays", "lead"]).ok()?;
    for host in 1..=3 {
        let left = nodes.engine(host, &["ps", "--all", "--quiet"]).ok()?;
        ensure!(left.is_empty(), "host {host} keeps {left}");
    }
    Ok(())
}
