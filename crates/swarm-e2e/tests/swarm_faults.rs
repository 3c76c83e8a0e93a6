//! What a swarm's faults cost: hosts that lose their power, daemons and engines that restart, leaders
//! that are gone. Every time is measured from the fault, on default settings.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use swarm_e2e::{Daemons, IMAGE, Watch, ask, exclusive, until};

const LONG: Duration = Duration::from_mins(1);

/// Ids and nodes of a service's running tasks.
fn running(nodes: &Daemons<'_>, by: u8, service: &str) -> Result<Vec<(String, String)>> {
    let format = "{{.ID}} {{.Node}} {{.DesiredState}} {{.CurrentState}}";
    let listed =
        nodes.docker(by, &["service", "ps", "--no-trunc", "--format", format, service]).ok()?;
    let runs = listed.lines().filter(|line| line.contains(" Running Running "));
    let mut all: Vec<_> = runs
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        })
        .collect();
    all.sort();
    Ok(all)
}

fn sleepers(nodes: &Daemons<'_>, name: &str, replicas: &str) -> Result<()> {
    let create = ["service", "create", "--name", name, "--replicas", replicas];
    let sleep = ["--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    nodes.docker(1, &[&create[..], &sleep].concat()).ok()?;
    Ok(())
}

#[test]
fn restarts_of_daemons_and_engines_stop_no_task() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2], 1)?;
    sleepers(&nodes, "web", "4")?;
    let before = running(&nodes, 1, "web")?;
    ensure!(before.len() == 4, "{before:?}");
    let containers = |nodes: &Daemons<'_>, host| nodes.engine(host, &["ps", "--quiet"]).ok();
    let ids = (containers(&nodes, 1)?, containers(&nodes, 2)?);

    // The worker's daemon, killed; the manager's, asked to end; then both are away at once.
    nodes.kill(2)?;
    nodes.launch(2, &[])?;
    nodes.ready(1, 2)?;
    nodes.stop(1)?;
    nodes.launch(1, &[])?;
    nodes.ready(1, 2)?;
    nodes.kill(1)?;
    nodes.kill(2)?;
    // The worker first: from a leader's first moment on its silence counts, here as anywhere.
    nodes.launch(2, &[])?;
    nodes.launch(1, &[])?;
    nodes.ready(1, 2)?;
    let now = (containers(&nodes, 1)?, containers(&nodes, 2)?);
    ensure!(now == ids, "the same containers run: {ids:?}, {now:?}\n{}", nodes.logs());
    ensure!(running(&nodes, 1, "web")? == before, "and the same tasks\n{}", nodes.logs());

    // One that takes leave may be away for longer than silence is borne: an upgrade takes a moment.
    nodes.stop(2)?;
    std::thread::sleep(Duration::from_secs(5));
    nodes.launch(2, &[])?;
    nodes.ready(1, 2)?;
    ensure!(running(&nodes, 1, "web")? == before, "an upgrade moves nothing");

    // A manager that is stalled restarts nothing.
    nodes.signal(1, "STOP")?;
    std::thread::sleep(Duration::from_secs(6));
    nodes.signal(1, "CONT")?;
    nodes.ready(1, 2)?;
    ensure!(running(&nodes, 1, "web")? == before, "a stall is nobody's silence");

    // An engine that is away for a moment, with its containers going on.
    lab.kill_dockerd(2)?;
    lab.start_dockerd(2)?;
    until(LONG, "four run", || Ok((running(&nodes, 1, "web")?.len() == 4).then_some(())))?;
    Ok(())
}

#[test]
fn a_power_cut_moves_tasks_and_the_host_comes_back() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3], 1)?;
    sleepers(&nodes, "web", "6")?;
    let begin = Instant::now();
    nodes.power_cut(3)?;
    until(LONG, "its tasks run elsewhere", || {
        let now = running(&nodes, 1, "web")?;
        Ok((now.len() == 6 && now.iter().all(|(_, node)| node != "host-3")).then_some(()))
    })
    .with_context(|| nodes.logs())?;
    let took = begin.elapsed();
    println!("a worker's power cut: its tasks run elsewhere after {took:.1?}");
    // 3 s to notice and the start; tests beside this one can make it much slower.
    ensure!(took < Duration::from_secs(15), "{took:?}");

    let before = running(&nodes, 1, "web")?;
    lab.start(3)?;
    nodes.launch(3, &[])?;
    nodes.ready(1, 3)?;
    let started = nodes.engine(3, &["ps", "--quiet"]).ok()?;
    ensure!(started.is_empty(), "the old tasks are not started again: {started}");
    ensure!(running(&nodes, 1, "web")? == before, "nothing is restarted because it came back");
    Ok(())
}

#[test]
fn the_leader_s_power_cut_costs_no_write_and_moves_its_tasks() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3], 3)?;
    sleepers(&nodes, "web", "6")?;
    let begin = Instant::now();
    nodes.power_cut(1)?;
    let written = until(LONG, "a write is taken", || {
        Ok(nodes
            .docker(2, &["service", "update", "--detach", "--label-add", "a=b", "web"])
            .ok()
            .ok())
    });
    written.with_context(|| nodes.logs())?;
    let writes = begin.elapsed();
    until(LONG, "its tasks run elsewhere", || {
        let Ok(now) = running(&nodes, 2, "web") else { return Ok(None) };
        Ok((now.len() == 6 && now.iter().all(|(_, node)| node != "host-1")).then_some(()))
    })
    .with_context(|| nodes.logs())?;
    let moved = begin.elapsed();
    println!(
        "the leader's power cut: a write after {writes:.1?}, tasks elsewhere after {moved:.1?}"
    );
    ensure!(writes < Duration::from_secs(10), "{writes:?}");
    ensure!(moved < Duration::from_secs(30), "{moved:?}; {}", nodes.logs());

    // Without a quorum reads go on and writes say so.
    nodes.power_cut(2)?;
    let listed = nodes.docker(3, &["service", "ls", "--format", "{{.Name}}"]).ok()?;
    ensure!(listed == "web", "{listed}");
    let told = nodes.docker(3, &["service", "scale", "--detach", "web=1"]).fails()?;
    ensure!(told.contains("does not have a leader"), "{told}");

    // The lost ones are given up: services and workers stay, and who comes back is a worker.
    let alone = ["swarm", "init", "--force-new-cluster", "--advertise-addr", &lab.ip(3)];
    nodes.docker(3, &alone).ok()?;
    until(LONG, "it goes on alone", || {
        let Ok(now) = running(&nodes, 3, "web") else { return Ok(None) };
        Ok((now.len() == 6 && now.iter().all(|(_, node)| node == "host-3")).then_some(()))
    })
    .with_context(|| nodes.logs())?;
    lab.start(1)?;
    nodes.launch(1, &[])?;
    nodes.ready(3, 2)?;
    until(LONG, "host-1 is a worker", || {
        let told = nodes.docker(1, &["node", "ls"]).fails();
        Ok(told.ok().filter(|told| told.contains("Worker nodes can't be used")))
    })
    .with_context(|| nodes.logs())?;
    nodes.docker(3, &["service", "scale", "web=8"]).ok()?;
    ensure!(running(&nodes, 3, "web")?.iter().any(|(_, node)| node == "host-1"));
    Ok(())
}

/// Managers, and which of them leads.
fn leaders(nodes: &Daemons<'_>, by: u8) -> Result<(usize, Option<u8>)> {
    let format = ["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"];
    let listed = nodes.docker(by, &format).ok()?;
    let well =
        listed.lines().filter(|line| line.ends_with("Leader") || line.ends_with("Reachable"));
    let leader = listed.lines().find_map(|line| line.strip_suffix(" Leader"));
    let leader = leader.and_then(|name| name.strip_prefix("host-")?.parse().ok());
    Ok((well.count(), leader))
}

/// Writes one config after the other at a manager until it is `over`: how many, and how long the longest
/// took, with all that it was refused meanwhile.
fn writes(sock: &Path, over: &AtomicBool) -> Result<(usize, Duration)> {
    let (mut written, mut longest) = (0, Duration::ZERO);
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let body = format!(r#"{{"Name": "config-{written}", "Data": "YQ=="}}"#);
        until(LONG, "a config is written", || {
            // One that was refused may have been written all the same.
            let status = ask(sock, "POST", "/configs/create", &body)?.status;
            Ok(matches!(status, 201 | 409).then_some(()))
        })?;
        (written, longest) = (written + 1, longest.max(begun.elapsed()));
    }
    Ok((written, longest))
}

#[test]
fn who_is_asked_to_end_hands_over_and_stops_no_task() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3], 3)?;
    let create = ["service", "create", "--name", "web", "--replicas", "6", "--stop-signal", "KILL"];
    let say = [IMAGE, "sh", "-c", "echo here; exec sleep 1d"];
    nodes.docker(1, &[&create[..], &say].concat()).ok()?;
    let (_, leader) = leaders(&nodes, 1)?;
    let leader = leader.context("one leads")?;
    let other = leader % 3 + 1;
    let tasks = running(&nodes, other, "web")?;
    let containers = |nodes: &Daemons<'_>| -> Result<Vec<String>> {
        (1..=3).map(|host| nodes.engine(host, &["ps", "--quiet"]).ok()).collect()
    };
    let before = containers(&nodes)?;
    // Clients that would stay for ever.
    let mut clients = Vec::new();
    for words in [&["events"][..], &["service", "logs", "--follow", "web"]] {
        clients.push(Watch::start(nodes.client(leader).command(words))?);
    }
    clients[1].wait_for("here", LONG)?;
    nodes.engine(leader, &["network", "create", "seen"]).ok()?;
    clients[0].wait_for("network create", LONG)?;

    let (sock, over) = (nodes.sock(other), AtomicBool::new(false));
    let (took, wrote) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| writes(&sock, &over));
        let begun = Instant::now();
        let ended = nodes.stop(leader);
        over.store(true, Ordering::Relaxed);
        let wrote = writing.join().map_err(|_| anyhow!("the writer broke off"));
        ended.and(Ok((begun.elapsed(), wrote??)))
    })
    .with_context(|| nodes.logs())?;
    let (written, longest) = wrote;
    println!(
        "the leader was asked to end: it did after {took:.1?}, of {written} writes meanwhile the \
         longest took {longest:.2?}"
    );
    ensure!(longest < Duration::from_secs(5), "{longest:?}\n{}", nodes.logs());
    ensure!(took < Duration::from_secs(8), "nobody is waited for: {took:?}\n{}", nodes.logs());

    // It is away for longer than silence is borne.
    std::thread::sleep(Duration::from_secs(5));
    ensure!(containers(&nodes)? == before, "containers run on without their daemon");
    nodes.launch(leader, &[])?;
    nodes.ready(other, 3)?;
    let now = until(LONG, "three managers", || {
        let (well, now) = leaders(&nodes, other)?;
        Ok((well == 3).then_some(now))
    })?;
    ensure!(now.is_some_and(|now| now != leader), "it follows: {now:?}");
    ensure!(running(&nodes, other, "web")? == tasks, "nothing is moved\n{}", nodes.logs());
    ensure!(containers(&nodes)? == before, "nothing is restarted\n{}", nodes.logs());
    Ok(())
}

#[test]
fn managers_wait_for_their_leader_as_long_as_they_are_told() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3], 3)?;
    sleepers(&nodes, "web", "3")?;
    let begun =
        |nodes: &Daemons<'_>| nodes.logs().matches("this node is a manager address=").count();
    let managers = begun(&nodes);
    // One of them is away when it is said.
    let (_, first) = leaders(&nodes, 1)?;
    let away = if first == Some(3) { 2 } else { 3 };
    let asked = if away == 3 { 2 } else { 3 };
    nodes.kill(away)?;
    // No client has flags for it.
    let shown = ask(&nodes.sock(asked), "GET", "/swarm", "")?.json();
    let mut spec = shown["Spec"].clone();
    (spec["Raft"]["ElectionTick"], spec["Raft"]["HeartbeatTick"]) = (100.into(), 5.into());
    let path = format!("/swarm/update?version={}", shown["Version"]["Index"]);
    let answered = ask(&nodes.sock(asked), "POST", &path, &spec.to_string())?;
    ensure!(answered.status == 200, "{}", answered.text());
    let silent = lab.ip(away);
    until(LONG, "those that wait for it say so", || {
        let info = nodes.docker(asked, &["info"]).output()?;
        let said = [info.stdout, info.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let told = said.lines().find(|line| line.contains("ElectionTick"));
        Ok(told.filter(|line| line.contains(&*silent)).map(drop))
    })
    .with_context(|| nodes.logs())?;
    ensure!(!nodes.logs().contains("opened again with another pace"), "{}", nodes.logs());
    // Its task runs elsewhere by now.
    let all = || Ok(Some(running(&nodes, 1, "web")?).filter(|running| running.len() == 3));
    let before = until(LONG, "three run", all).with_context(|| nodes.logs())?;
    nodes.launch(away, &[])?;
    // Not before the last one is back: it led, and who asks while it closes its store hears of it still.
    let leader = until(LONG, "each manager has opened its store again", || {
        let opened = nodes.logs().matches("opened again with another pace").count();
        let is_whole = opened == 3 && begun(&nodes) == managers + 3;
        let Ok((3, Some(leader))) = leaders(&nodes, 1) else { return Ok(None) };
        Ok(is_whole.then_some(leader))
    })
    .with_context(|| nodes.logs())?;
    ensure!(running(&nodes, 1, "web")? == before, "no task was touched");

    // They wait for three seconds and more now.
    let other = if leader == 1 { 2 } else { 1 };
    let begin = Instant::now();
    nodes.kill(leader)?;
    until(LONG, "a write is taken", || {
        let update = ["service", "update", "--detach", "--label-add", "a=b", "web"];
        Ok(nodes.docker(other, &update).ok().ok())
    })
    .with_context(|| nodes.logs())?;
    let took = begin.elapsed();
    println!("the leader's daemon killed, elections after 3 s: a write after {took:.1?}");
    ensure!(took > Duration::from_millis(2_500) && took < Duration::from_secs(30), "{took:?}");
    nodes.launch(leader, &[])?;
    until(LONG, "three managers", || Ok((leaders(&nodes, other)?.0 == 3).then_some(())))?;
    Ok(())
}

/// What a swarm is known by: its root certificate, join tokens, secrets, configs and services.
fn identity(nodes: &Daemons<'_>) -> Result<Vec<String>> {
    [
        &["swarm", "ca"][..],
        &["swarm", "join-token", "--quiet", "worker"],
        &["swarm", "join-token", "--quiet", "manager"],
        &["secret", "ls", "--format", "{{.ID}} {{.Name}}"],
        &["config", "inspect", "--format", "{{.ID}} {{json .Spec}}", "greeting"],
        &["service", "inspect", "--format", "{{.ID}} {{json .Spec}}", "web"],
    ]
    .into_iter()
    .map(|arguments| nodes.docker(1, arguments).ok())
    .collect()
}

#[test]
fn the_last_manager_goes_on_with_all_that_the_swarm_had() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3], 2)?;
    nodes.client(1).feed(&["secret", "create", "key", "-"], b"hunter2").ok()?;
    nodes.client(1).feed(&["config", "create", "greeting", "-"], b"good day").ok()?;
    let create = ["service", "create", "--name", "web", "--replicas", "3", "--secret", "key"];
    let on = ["--constraint", "node.hostname==host-3", "--stop-signal", "KILL"];
    nodes.docker(1, &[&create[..], &on, &[IMAGE, "sleep", "1d"]].concat()).ok()?;
    let before = identity(&nodes)?;
    let tasks = running(&nodes, 1, "web")?;
    let containers = || containers_of(&lab, 3);
    let ids = containers()?;
    ensure!(ids.lines().count() == 3 && tasks.len() == 3, "{ids} {tasks:?}");

    nodes.power_cut(2)?;
    until(LONG, "there is no quorum", || {
        let told = nodes.docker(1, &["service", "scale", "--detach", "web=3"]).output()?;
        let told = String::from_utf8_lossy(&told.stderr).into_owned();
        Ok(told.contains("does not have a leader").then_some(()))
    })?;
    let alone = ["swarm", "init", "--force-new-cluster", "--advertise-addr", &lab.ip(1)];
    nodes.docker(1, &alone).ok()?;
    nodes.ready(1, 2)?;
    ensure!(identity(&nodes)? == before, "{:?}\n{before:?}", identity(&nodes)?);
    // What the worker hears first of the new cluster is what it has already.
    let read =
        ["service", "create", "--name", "read", "--mode", "replicated-job", "--secret", "key"];
    let on = ["--constraint", "node.hostname==host-3", IMAGE, "cat", "/run/secrets/key"];
    nodes.docker(1, &[&read[..], &on].concat()).ok()?;
    ensure!(nodes.docker(1, &["service", "logs", "--raw", "read"]).ok()? == "hunter2");
    ensure!(containers()? == ids, "a worker's containers were restarted");
    ensure!(running(&nodes, 1, "web")? == tasks, "the tasks are the same");
    Ok(())
}

/// The containers that run on a host, in full.
fn containers_of(lab: &swarm_e2e::Lab, host: u8) -> Result<String> {
    lab.sh(host, "docker ps --quiet --no-trunc --filter label=com.docker.swarm.service.name=web")
}
