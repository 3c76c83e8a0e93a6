//! The cluster endpoint of `swarm daemon`: all nodes' engines as one, through the agents' sessions, on
//! every manager alike.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Client, Daemons, IMAGE, Scratch, Watch, until};

const LONG: Duration = Duration::from_mins(1);

/// The plain client of a host's cluster endpoint.
fn cluster(nodes: &Daemons<'_>, host: u8) -> Client {
    let socket = nodes.folder(host).join("cluster.sock");
    Client::new("docker", &format!("unix://{}", socket.display()))
}

/// Waits until all three engines are behind the endpoint of a host.
fn complete(nodes: &Daemons<'_>, host: u8) -> Result<()> {
    let info = ["info", "--format", "{{.NCPU}} {{json .SystemStatus}}"];
    until(LONG, format_args!("host {host} answers for all engines"), || {
        let Ok(told) = cluster(nodes, host).run(&info).ok() else { return Ok(None) };
        Ok((told.matches("\"Healthy\"").count() == 3).then_some(()))
    })
    .with_context(|| nodes.logs())
}

#[test]
fn all_nodes_are_one_engine_from_every_manager() -> Result<()> {
    // No engine has a port.
    let lab = Scratch::boot(3, |config| config.default.listen.clear())?;
    let mut nodes = Daemons::start(&lab, &[1, 2, 3])?;
    let told = cluster(&nodes, 1).run(&["ps"]).fails()?;
    ensure!(told.contains("in no swarm") && told.contains("docker swarm init"), "{told}");
    nodes.docker(1, &["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    nodes.join(2, 1, "manager")?.ok()?;
    nodes.join(3, 1, "worker")?.ok()?;
    nodes.ready(1, 3)?;
    let told = cluster(&nodes, 3).run(&["ps"]).fails()?;
    ensure!(told.contains("worker") && told.contains("of a manager"), "{told}");
    complete(&nodes, 1)?;
    complete(&nodes, 2)?;

    for host in [1, 2] {
        flows(&nodes, host).with_context(|| format!("at host {host}\n{}", nodes.logs()))?;
    }

    // A task on a node is reached from any manager, by its name and by its container's id.
    let create =
        ["service", "create", "--name", "web", "--mode", "global", "--stop-signal", "KILL"];
    cluster(&nodes, 2).run(&[&create[..], &[IMAGE, "sleep", "1d"]].concat()).ok()?;
    let format = "{{.Names}} {{.ID}}";
    let listed = cluster(&nodes, 2).run(&["ps", "--no-trunc", "--format", format]).ok()?;
    let on_worker = listed.lines().find(|line| line.starts_with("host-3/web.")).context("none")?;
    let (name, id) = on_worker.split_once(' ').context(listed.clone())?;
    let bare = name.trim_start_matches("host-3/");
    for (host, called) in [(1, name), (2, bare), (1, id), (2, id)] {
        let said = cluster(&nodes, host).run(&["exec", called, "hostname"]).ok()?;
        ensure!(id.starts_with(&said), "{called}: {said}");
    }
    let listed = cluster(&nodes, 2).run(&["service", "ls", "--format", "{{.Name}}"]).ok()?;
    ensure!(listed == "web", "{listed}");
    let asked = ["events", "--since", "5m", "--until", "0s", "--format", "{{.Type}} {{.Action}}"];
    let told = cluster(&nodes, 2).run(&asked).ok()?;
    for words in ["service create", "container start"] {
        ensure!(told.lines().any(|line| line == words), "{words}: {told}");
    }
    let swarm = "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}} {{.Swarm.Nodes}}";
    let told = cluster(&nodes, 2).run(&["info", "--format", swarm]).ok()?;
    ensure!(told == "active true 3", "{told}");

    // What a swarm says of its nodes holds for placement.
    nodes.node(1, &["update", "--availability", "pause", "host-3"])?;
    until(LONG, "a paused node is given no containers", || {
        let run = ["create", "-e", "constraint:node==host-3", IMAGE];
        let told = cluster(&nodes, 2).run(&run).output()?;
        Ok((!told.status.success()).then_some(()))
    })?;
    nodes.node(1, &["update", "--availability", "active", "host-3"])?;
    nodes.node(1, &["promote", "host-3"])?;
    complete(&nodes, 3)?;
    the_leader_goes(&mut nodes)
}

/// What a person does with containers, at one manager's endpoint.
fn flows(nodes: &Daemons<'_>, host: u8) -> Result<()> {
    let docker = cluster(nodes, host);
    // From now on, however long the client takes to begin.
    let since = jiff::Timestamp::now().to_string();
    let events = ["events", "--since", &since, "--filter", "type=container"];
    let format = ["--format", "{{.Action}} {{.From}}"];
    let mut events = Watch::start(docker.command(&[&events[..], &format].concat()))?;
    for node in 1..=3 {
        let (name, at) = (format!("c{host}{node}"), format!("constraint:node==host-{node}"));
        let say = "echo begun; exec sleep 1d";
        let run = ["run", "--detach", "--name", &name, "-e", &at, "--stop-signal", "KILL"];
        docker.run(&[&run[..], &[IMAGE, "sh", "-c", say]].concat()).ok()?;
        let engine = nodes.engine(node, &["ps", "--quiet", "--filter", &format!("name={name}")]);
        ensure!(!engine.ok()?.is_empty(), "{name} is where it was asked for");
    }
    let mut listed: Vec<_> =
        docker.run(&["ps", "--format", "{{.Names}}"]).ok()?.lines().map(str::to_owned).collect();
    listed.sort();
    let begin = format!("/c{host}");
    listed.retain(|name| name.contains(&begin));
    let wanted: Vec<_> = (1..=3).map(|node| format!("host-{node}/c{host}{node}")).collect();
    ensure!(listed == wanted, "{listed:?}");
    let refused = docker.run(&["run", "--name", &format!("c{host}2"), IMAGE, "true"]).fails()?;
    ensure!(refused.contains("in use"), "a name is one container's in all nodes: {refused}");

    let name = format!("c{host}3");
    let echoed = docker.feed(&["exec", "--interactive", &name, "cat"], b"through\n").ok()?;
    ensure!(echoed == "through", "{echoed}");
    let failed = docker.run(&["exec", &name, "sh", "-c", "exit 7"]).output()?;
    ensure!(failed.status.code() == Some(7), "{:?}", failed.status);
    let logs = Watch::start(docker.command(&["logs", "--follow", &name]))?;
    logs.wait_for("begun", LONG)?;
    docker.run(&["exec", &name, "sh", "-c", "echo later > /proc/1/fd/1"]).ok()?;
    logs.wait_for("later", LONG)?;

    let folder = tempfile::tempdir()?;
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    // Larger than any buffer between.
    std::fs::write(&there, vec![b'x'; 8 << 20])?;
    docker.run(&["cp", &there.display().to_string(), &format!("{name}:/tmp/file")]).ok()?;
    docker.run(&["cp", &format!("{name}:/tmp/file"), &back.display().to_string()]).ok()?;
    ensure!(std::fs::read(&back)? == std::fs::read(&there)?, "a file comes back as it went");

    let node = docker.run(&["inspect", "--format", "{{.Node.Name}}", &name]).ok();
    ensure!(node.is_err() || node? == "host-3");
    let inspected = docker.run(&["inspect", "--format", "{{.State.Status}}", &name]).ok()?;
    ensure!(inspected == "running", "{inspected}");
    let stats = docker.run(&["stats", "--no-stream", "--format", "{{.Name}}", &name]).ok()?;
    ensure!(stats.contains(&name), "{stats}");
    for node in 1..=3 {
        docker.run(&["rm", "--force", &format!("host-{node}/c{host}{node}")]).ok()?;
    }
    events.wait_for("destroy", LONG)?;
    let seen = events.lines();
    ensure!(seen.iter().filter(|line| line.starts_with("start")).count() == 3, "{seen:?}");
    ensure!(events.runs()?);
    Ok(())
}

/// Another manager's endpoint goes on when the leader is gone.
fn the_leader_goes(nodes: &mut Daemons<'_>) -> Result<()> {
    until(LONG, "three managers", || {
        let format = ["node", "ls", "--format", "{{.ManagerStatus}}"];
        let listed = nodes.docker(1, &format).ok()?;
        Ok((listed.lines().filter(|line| !line.is_empty()).count() == 3).then_some(()))
    })?;
    let run = ["run", "--detach", "--name", "stays", "-e", "constraint:node==host-3"];
    let docker = cluster(nodes, 2);
    docker.run(&[&run[..], &["--stop-signal", "KILL", IMAGE, "sleep", "1d"]].concat()).ok()?;
    let begin = Instant::now();
    nodes.kill(1)?;
    let mut told = String::new();
    until(LONG, "the others' endpoint works", || {
        match docker.run(&["exec", "stays", "echo", "there"]).ok() {
            Ok(said) => Ok(Some(said)),
            Err(error) => {
                told = format!("{error:#}");
                Ok(None)
            }
        }
    })
    .with_context(|| format!("{told}\n{}", nodes.logs()))?;
    let took = begin.elapsed();
    println!("the leader's daemon killed: exec through another manager after {took:.1?}");
    ensure!(took < Duration::from_secs(20), "{took:?}");
    let listed = docker.run(&["ps", "--format", "{{.Names}}"]).ok()?;
    ensure!(listed.lines().any(|name| name == "host-3/stays"), "{listed}");
    // Its engine is not its daemon: it is told of, and comes back with it.
    let refused = docker.run(&["run", "-e", "constraint:node==host-1", IMAGE, "true"]).fails()?;
    ensure!(!refused.is_empty());
    nodes.launch(1, &[])?;
    complete(nodes, 1)?;

    // Without a leader it says so.
    nodes.kill(2)?;
    nodes.kill(3)?;
    let refused = cluster(nodes, 1).run(&["ps"]).fails()?;
    ensure!(refused.contains("does not have a leader") || refused.contains("leads"), "{refused}");
    Ok(())
}
