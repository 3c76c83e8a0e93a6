//! `swarm daemon`: the node endpoint, and how a swarm begins, grows and shrinks, with the plain
//! `docker` client on real engines.

use std::time::Duration;

use anyhow::{Result, ensure};
use swarm_e2e::{Daemons, IMAGE, ask, exclusive, until};

const LONG: Duration = Duration::from_mins(1);
/// For a node to hear that it was removed: it asks when it has been without a leader for up to 13 s, and where nobody
/// answers just then again up to 39 s later, and 78 s.
const HEARS: Duration = Duration::from_mins(3);

#[test]
fn in_no_swarm_the_node_is_its_engine() -> Result<()> {
    let lab = exclusive()?;
    let node = Daemons::start(&lab, &[1])?;
    let info = |format: &str| node.docker(1, &["info", "--format", format]).ok();
    ensure!(info("{{.Name}} {{.Swarm.LocalNodeState}}")? == "host-1 inactive");
    node.docker(1, &["run", "-d", "--name", "web", IMAGE, "sleep", "1d"]).ok()?;
    ensure!(node.engine(1, &["ps", "--format", "{{.Names}}"]).ok()? == "web");
    ensure!(node.docker(1, &["exec", "web", "hostname"]).ok()?.len() == 12, "upgrades pass");
    let piped = node.client(1).feed(&["exec", "-i", "web", "cat"], b"to and fro").ok()?;
    ensure!(piped == "to and fro", "{piped}");
    for arguments in [&["node", "ls"][..], &["service", "ls"], &["secret", "ls"]] {
        let told = node.docker(1, arguments).fails()?;
        ensure!(told.contains("This node is not a swarm manager. Use"), "{told}");
    }
    let told = node.docker(1, &["swarm", "leave"]).fails()?;
    ensure!(told.contains("not part of a swarm"), "{told}");
    Ok(())
}

#[test]
fn nodes_begin_with_the_availability_that_they_are_given() -> Result<()> {
    let lab = exclusive()?;
    let nodes = Daemons::start(&lab, &[1, 2, 3])?;
    let ip = lab.ip(1);
    // The client knows the words itself.
    let body = r#"{"ListenAddr": "0.0.0.0:2377", "Availability": "asleep"}"#;
    let told = ask(&nodes.sock(1), "POST", "/swarm/init", body)?;
    ensure!(told.status == 400, "{}", told.text());
    ensure!(told.message() == "invalid Availability: \"asleep\"", "{}", told.text());
    let init = ["swarm", "init", "--advertise-addr", &ip, "--availability", "drain"];
    nodes.docker(1, &init).ok()?;
    let manager = format!("{ip}:2377");
    for (host, role, availability) in [(2, "manager", "pause"), (3, "worker", "active")] {
        let token = nodes.docker(1, &["swarm", "join-token", "--quiet", role]).ok()?;
        let join = ["swarm", "join", "--token", &token, "--availability", availability, &manager];
        nodes.docker(host, &join).ok()?;
    }
    nodes.ready(1, 3)?;
    let listed = || -> Result<Vec<String>> {
        let format = ["node", "ls", "--format", "{{.Hostname}} {{.Availability}}"];
        let listed = nodes.docker(2, &format).ok()?;
        let mut lines: Vec<_> = listed.lines().map(str::to_owned).collect();
        lines.sort();
        Ok(lines)
    };
    ensure!(listed()? == ["host-1 Drain", "host-2 Pause", "host-3 Active"], "{:?}", listed()?);

    let on = |service: &str| -> Result<Vec<String>> {
        let filter = ["--filter", "desired-state=running", "--format", "{{.Node}}"];
        let listed = nodes.docker(1, &[&["service", "ps", service][..], &filter].concat()).ok()?;
        let mut hosts: Vec<_> = listed.lines().map(str::to_owned).collect();
        hosts.sort();
        Ok(hosts)
    };
    let sleep = ["--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    let web = ["service", "create", "--name", "web", "--replicas", "2"];
    nodes.docker(1, &[&web[..], &sleep].concat()).ok()?;
    nodes.everywhere(1, "global")?;
    ensure!(on("web")? == ["host-3", "host-3"], "{:?}", on("web")?);
    ensure!(on("global")? == ["host-3"], "{:?}", on("global")?);
    for host in ["host-1", "host-2"] {
        nodes.node(1, &["update", "--availability", "active", host])?;
    }
    nodes.docker(1, &["service", "scale", "web=4"]).ok()?;
    ensure!(on("web")? == ["host-1", "host-2", "host-3", "host-3"], "{:?}", on("web")?);
    let everywhere = ["host-1", "host-2", "host-3"];
    until(LONG, "on each node", || Ok((on("global")? == everywhere).then_some(())))
}

#[test]
fn a_swarm_begins_grows_and_shrinks() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::start(&lab, &[1, 2, 3])?;
    let began = nodes.docker(1, &["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    ensure!(began.contains("docker swarm join --token SWMTKN-1-"), "{began}");
    let again = nodes.docker(1, &["swarm", "init"]).fails()?;
    ensure!(again.contains("already part of a swarm"), "{again}");

    // What cannot join is told why, and stays in no swarm.
    let manager = format!("{}:2377", lab.ip(1));
    let token = nodes.docker(1, &["swarm", "join-token", "-q", "worker"]).ok()?;
    let other = token.replace(&token[10..12], if &token[10..12] == "aa" { "bb" } else { "aa" });
    for (token, address, words) in [
        ("SWMTKN-1-nonsense", manager.as_str(), "join token"),
        (other.as_str(), manager.as_str(), "token"),
        (token.as_str(), &format!("{}:2377", lab.ip(3)), "refused"),
    ] {
        let told = nodes.docker(2, &["swarm", "join", "--token", token, address]).fails()?;
        ensure!(told.to_lowercase().contains(words), "{words}: {told}");
    }
    let state = |host| nodes.docker(host, &["info", "--format", "{{.Swarm.LocalNodeState}}"]).ok();
    ensure!(state(2)? == "inactive");

    nodes.join(2, 1, "worker")?.ok()?;
    nodes.join(3, 1, "manager")?.ok()?;
    nodes.ready(1, 3)?;
    ensure!(state(2)? == "active");
    let format = "{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}";
    let listed = nodes.docker(3, &["node", "ls", "--format", format]).ok()?;
    let mut lines: Vec<_> = listed.lines().collect();
    lines.sort_unstable();
    // Where the machine stalls, the other one may have been chosen.
    let led = |one: &str, other: &str| {
        let one = format!("host-1 Ready Active {one}");
        lines == [&*one, "host-2 Ready Active ", &*format!("host-3 Ready Active {other}")]
    };
    ensure!(led("Leader", "Reachable") || led("Reachable", "Leader"), "{listed}");
    let told = nodes.docker(2, &["node", "ls"]).fails()?;
    ensure!(told.contains("Worker nodes can't be used"), "{told}");

    // A token that was replaced is over.
    nodes.docker(1, &["swarm", "join-token", "--rotate", "worker"]).ok()?;
    nodes.docker(2, &["swarm", "leave"]).ok()?;
    let told = nodes.docker(2, &["swarm", "join", "--token", &token, &manager]).fails()?;
    ensure!(told.contains("token"), "{told}");

    // The one that left is down, and can be removed; and come back as another.
    until(LONG, "host-2 is down", || {
        let listed =
            nodes.docker(1, &["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]).ok()?;
        Ok(listed.contains("host-2 Down").then_some(()))
    })?;
    nodes.docker(1, &["node", "rm", "host-2"]).ok()?;
    nodes.join(2, 3, "worker")?.ok()?;
    nodes.ready(1, 3)?;

    // One that is taken out while it runs hears of it, ends its tasks, and can leave.
    let web = ["--name", "web", "--mode", "global", "--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    nodes.docker(1, &[&["service", "create", "--detach"], &web[..]].concat()).ok()?;
    let containers = |host| nodes.engine(host, &["ps", "--quiet"]).ok();
    until(LONG, "host-2 has a task", || Ok((!containers(2)?.is_empty()).then_some(())))?;
    nodes.docker(1, &["node", "rm", "--force", "host-2"]).ok()?;
    until(HEARS, "host-2 has none", || Ok(containers(2)?.is_empty().then_some(())))?;
    let told = nodes.docker(2, &["info", "--format", "{{.Swarm.Error}}"]).ok()?;
    ensure!(told.contains("was removed from the swarm"), "{told}");
    nodes.docker(1, &["service", "rm", "web"]).ok()?;
    nodes.docker(2, &["swarm", "leave", "--force"]).ok()?;
    nodes.join(2, 3, "worker")?.ok()?;
    nodes.ready(1, 3)?;

    // Roles change where the node is.
    nodes.node(1, &["promote", "host-2"])?;
    until(LONG, "host-2 is a manager", || Ok(nodes.docker(2, &["node", "ls"]).ok().ok()))?;
    nodes.node(1, &["demote", "host-3"])?;
    until(LONG, "host-3 is a worker", || {
        let told = nodes.docker(3, &["node", "ls"]).fails();
        Ok(told.ok().filter(|told| told.contains("Worker nodes can't be used")))
    })?;

    until(LONG, "its store is gone", || {
        Ok((!nodes.folder(3).join("data/raft").exists()).then_some(()))
    })?;
    // Who is promoted, demoted and promoted again at once is a manager in the end.
    for change in ["promote", "demote", "promote"] {
        nodes.node(1, &[change, "host-3"])?;
    }
    until(LONG, "host-3 is a manager among three", || {
        let format = "{{.Hostname}} {{.ManagerStatus}}";
        let listed = nodes.docker(3, &["node", "ls", "--format", format]).ok();
        Ok(listed.ok().filter(|listed| listed.contains("host-3 Reachable")))
    })?;
    nodes.node(1, &["demote", "host-3"])?;

    // The engine's own networks are there beside the swarm's.
    ensure!(
        nodes.docker(1, &["network", "inspect", "--format", "{{.Driver}}", "bridge"]).ok()?
            == "bridge"
    );
    nodes.docker(1, &["network", "create", "own"]).ok()?;
    ensure!(nodes.docker(2, &["network", "inspect", "own"]).fails()?.contains("own"));
    nodes.docker(1, &["network", "rm", "own"]).ok()?;

    // A restart changes nothing.
    nodes.stop(2)?;
    nodes.launch(2, &[])?;
    nodes.ready(1, 3)?;
    until(LONG, "host-2 is a manager again", || Ok(nodes.docker(2, &["node", "ls"]).ok().ok()))?;

    let told = nodes.docker(1, &["swarm", "leave"]).fails()?;
    ensure!(told.contains("participating as a manager"), "{told}");
    Ok(())
}
