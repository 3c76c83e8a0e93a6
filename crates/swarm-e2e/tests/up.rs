//! `swarm up` and `swarm down`, of a swarm and of a pool, over a real sshd, on hosts whose PID 1 is the real systemd: the unit is really
//! started, by root, by sudo and through a jump host.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use swarm_e2e::{IMAGE, Lab, Machines, Scratch, stripped, until};

const LONG: Duration = Duration::from_mins(1);

/// The nodes as a manager lists them: name, state, part; sorted.
fn nodes(machines: &Machines<'_>, by: u8) -> Result<Vec<String>> {
    let format = "{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}";
    let listed = machines.docker(by, &["node", "ls", "--format", format])?;
    let mut lines: Vec<_> = listed.lines().map(|line| line.trim().to_owned()).collect();
    lines.sort();
    Ok(lines)
}

fn has(text: &str, words: &[&str]) -> Result<()> {
    for words in words {
        ensure!(text.contains(words), "{words:?} is missing in:\n{text}");
    }
    Ok(())
}

/// What listens on a host is what did before, and these.
fn opened(
    machines: &Machines<'_>,
    host: u8,
    before: &[BTreeSet<String>],
    new: &[&str],
) -> Result<()> {
    let (now, was) = (machines.listening(host)?, &before[usize::from(host) - 1]);
    let more: Vec<_> = now.difference(was).map(String::as_str).collect();
    ensure!(more == new, "host {host} listens at {more:?} too, expected is {new:?}");
    ensure!(now.is_superset(was), "host {host} no longer listens at {:?}", was.difference(&now));
    Ok(())
}

/// Which cgroup controllers (version 1) are in a hierarchy of their own on this machine.
fn hierarchies() -> Result<Vec<String>> {
    let all = std::fs::read_to_string("/proc/cgroups")?;
    let split = all.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    Ok(split.filter(|words| words.get(1) != Some(&"0")).map(|words| words[0].to_owned()).collect())
}

/// Of all machines at once.
fn obstacles_are_told(lab: &Lab, machines: &Machines<'_>, binary: &Path) -> Result<()> {
    let swarm = |arguments: &[&str]| machines.swarm(binary, arguments);
    lab.sh(3, "systemctl stop docker.service")?;
    lab.sh(1, "docker swarm init --advertise-addr eth0 >/dev/null")?;
    let told = swarm(&["up", "stranger1", "bob2", "h3"]).fails()?;
    has(&told, &["nothing was changed", "bob2: this user is not root, and sudo asks"])?;
    has(&told, &["stranger1: no way in: ssh said:", "Permission denied"])?;
    let told = swarm(&["up", "h1", "h3"]).fails()?;
    has(&told, &["h1: its engine is in a swarm of its own", "h3: its Docker Engine does not"])?;
    lab.sh(1, "docker swarm leave --force >/dev/null")?;
    lab.sh(3, "systemctl start docker.service")?;
    Ok(())
}

/// Who has no certificate of the endpoint's authority.
fn strangers_are_refused(machines: &Machines<'_>, certs: &Path) -> Result<()> {
    let none = tempfile::tempdir()?;
    std::fs::copy(certs.join("ca.pem"), none.path().join("ca.pem"))?;
    let told = machines.endpoint(1, none.path(), &["ps"]).fails()?;
    ensure!(told.contains("ertificate"), "{told}");
    Ok(())
}

/// A command that a signal ends when it has told of a step; what it said.
fn broken_off(
    machines: &Machines<'_>,
    binary: &Path,
    arguments: &[&str],
    at: &str,
    signal: Signal,
) -> Result<String> {
    let mut begun = machines.begun(binary, arguments)?;
    begun.wait_for(at, LONG)?;
    begun.signal(signal)?;
    let ended = begun.wait_end(LONG)?;
    let said = begun.lines().join("\n");
    ensure!(!ended.success(), "it was done before: {said}");
    Ok(said)
}

/// Nobody can say what ends with it: its daemon does not run, and its store is all that is left of the swarm.
fn a_stopped_manager_is_kept(lab: &Scratch, machines: &Machines<'_>, binary: &Path) -> Result<()> {
    lab.sh(2, "systemctl stop swarm-daemon.service")?;
    let told = machines.swarm(binary, &["down", "ann2"]).fails()?;
    has(&told, &["nothing was changed", "ann2: its daemon does not run, and it is a manager"])?;
    lab.sh(2, "test -d /var/lib/swarm/raft && systemctl start swarm-daemon.service")?;
    until(LONG, "host-2 leads again", || {
        let found = nodes(machines, 2).ok();
        Ok(found.filter(|nodes| nodes.contains(&"host-2 Ready Active Leader".to_owned())))
    })?;
    Ok(())
}

#[test]
fn machines_become_a_swarm_and_are_what_they_were() -> Result<()> {
    let ours = hierarchies()?;
    let lab = Scratch::machines(3)?;
    ensure!(hierarchies()? == ours, "the hosts' systemd changed this machine's cgroups");
    let machines = Machines::new(&lab)?;
    let folder = tempfile::tempdir()?;
    let binary = stripped(folder.path(), "swarm", b"")?;
    let before = [machines.files(1)?, machines.files(2)?, machines.files(3)?];
    let listened = [machines.listening(1)?, machines.listening(2)?, machines.listening(3)?];
    let listens = |host, new: &[&str]| opened(&machines, host, &listened, new);
    let swarm = |arguments: &[&str]| machines.swarm(&binary, arguments);

    // What stands in the way is told of all machines at once, and nothing is changed.
    obstacles_are_told(&lab, &machines, &binary)?;
    let certs = folder.path().join("certs");
    let words = certs.display().to_string();
    let up = ["--name", "prod", "--endpoint", "3376", "--certs", &words, "h1", "ann2", "h3"];
    let told = swarm(&[&["up", "--dry-run"], &up[..]].concat()).ok()?;
    has(&told, &["1. h1: note in /etc/swarm/up.json", "ann2: join as a worker through h1"])?;
    has(&told, &["h1: begin the swarm prod as its manager, at 10.77.0.11", "(--dry-run)"])?;
    ensure!(!certs.exists());
    for host in 1..=3 {
        let now = machines.files(host)?;
        ensure!(now == before[usize::from(host) - 1], "host {host}: {now:#?}");
    }

    // By root, by sudo, through a jump host. The first try dies when the swarm has just begun; the same command
    // goes on from there.
    let up_now = [&["up"], &up[..]].concat();
    broken_off(&machines, &binary, &up_now, "h1: begin the swarm prod", Signal::SIGKILL)?;
    let told = swarm(&up_now).ok()?;
    println!("{told}");
    has(&told, &["h3: join as a worker through h1, at 10.77.0.13: done", "prod: done, "])?;
    ensure!(!told.contains("h1: begin the swarm"), "once is enough: {told}");
    let three = ["host-1 Ready Active Leader", "host-2 Ready Active", "host-3 Ready Active"];
    ensure!(nodes(&machines, 1)? == three, "{:?}", nodes(&machines, 1)?);
    for host in 1..=3 {
        let state = "systemctl is-active swarm-daemon; systemctl is-enabled swarm-daemon";
        ensure!(lab.sh(host, state)? == "active\nenabled");
    }
    let web = ["--name", "web", "--mode", "global", "--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    machines.docker(1, &[&["service", "create", "--detach"], &web[..]].concat())?;
    let containers = |host| lab.sh(host, "docker ps --quiet --no-trunc");
    for host in 1..=3 {
        until(LONG, format_args!("host {host} has a task"), || {
            Ok((!containers(host)?.is_empty()).then_some(()))
        })?;
    }

    // Managers listen for nodes, the endpoint was asked for, and workers listen nowhere.
    let manager = "tcp 0.0.0.0:2377";
    listens(1, &[manager, "tcp 0.0.0.0:3376"])?;
    listens(2, &[])?;
    listens(3, &[])?;

    // From the person's machine, by TLS; and not without a certificate of that authority.
    until(LONG, "the endpoint has all nodes' containers", || {
        let listed = machines.endpoint(1, &certs, &["ps", "--format", "{{.Names}}"]).ok()?;
        Ok((listed.lines().count() == 3).then_some(()))
    })?;
    strangers_are_refused(&machines, &certs)?;

    // Again: nothing. A worker is promoted. A newer binary restarts daemons, and no task.
    let told = swarm(&[&["up"], &up[..]].concat()).ok()?;
    ensure!(told == "prod: nothing to do: all is as it should be", "{told}");
    let told = swarm(&["up", "--name", "test", "h1"]).fails()?;
    has(&told, &["h1: its cluster is named prod, not test"])?;
    let told = swarm(&["up", "--manager", "h2", "h1", "h3"]).ok()?;
    has(&told, &["h2: make this worker a manager: done", "2 managers stand the loss of 0"])?;
    has(&machines.docker(2, &["node", "ls"])?, &["Reachable", "Leader"])?;
    listens(2, &[manager])?;
    let tasks = [containers(1)?, containers(2)?, containers(3)?];
    let newer = stripped(folder.path(), "newer", b"\n")?;
    let told = machines.swarm(&newer, &["up", "h1", "h2", "h3"]).ok()?;
    has(&told, &["over the one that is there: done", "h2: restart swarm-daemon.service"])?;
    ensure!(tasks == [containers(1)?, containers(2)?, containers(3)?], "tasks go on");

    // One leaves in order, by a manager that stays.
    let told = swarm(&["down", "--manager", "h1", "h3"]).ok()?;
    has(&told, &["h3: drain it", "h3: take it out of the list of nodes: done"])?;
    // Who leads after all were restarted is not said.
    let two = ["host-1 Ready Active Manager", "host-2 Ready Active Manager"];
    let listed: Vec<_> = nodes(&machines, 1)?
        .iter()
        .map(|line| line.replace("Leader", "Manager").replace("Reachable", "Manager"))
        .collect();
    ensure!(listed == two, "{listed:?}");
    ensure!(containers(3)?.is_empty() && machines.files(3)? == before[2]);
    listens(3, &[])?;
    let told = swarm(&["down", "h1"]).ok()?;
    has(&told, &["h1: make this manager a worker: done", "left to do: on a manager that stays"])?;
    until(LONG, "host-2 leads", || {
        let found = nodes(&machines, 2).ok();
        Ok(found.filter(|nodes| nodes.contains(&"host-2 Ready Active Leader".to_owned())))
    })?;

    // All of it, and the machines are what they were.
    let stranger = lab.sh(2, "docker run --detach --name mine busybox sleep 1d")?;
    machines.docker(2, &["node", "rm", "--force", "host-1"])?;
    let told = swarm(&["down", "h1", "ann2", "h3"]).fails()?;
    has(&told, &["the swarm prod would end, with 1 service (web): --force"])?;
    a_stopped_manager_is_kept(&lab, &machines, &binary)?;
    // It is interrupted in the middle of that, and goes on.
    let down = ["down", "--force", "h1", "ann2", "h3"];
    let told = broken_off(&machines, &binary, &down, "leave", Signal::SIGINT)?;
    has(&told, &["interrupted; what was done stays, and the same command goes on from there"])?;
    swarm(&down).ok()?;
    for host in 1..=3 {
        let (now, was) = (machines.files(host)?, &before[usize::from(host) - 1]);
        let more: Vec<_> = now.symmetric_difference(was).collect();
        ensure!(more.is_empty(), "host {host}: {more:?}");
        listens(host, &[])?;
    }
    ensure!(containers(2)? == stranger, "what is not the swarm's goes on");
    let told = swarm(&["down", "h1", "ann2", "h3"]).ok().context("again")?;
    has(&told, &["nothing to do"])?;
    Ok(())
}

/// The pool's engines that answer, as a manager tells them to a client elsewhere.
fn healthy(machines: &Machines<'_>, by: u8, certs: &Path) -> usize {
    let info = machines.endpoint(by, certs, &["info"]).ok().unwrap_or_default();
    info.matches("Status: Healthy").count()
}

/// An agent's certificate is for being reached; a manager's reaches every engine.
fn certificates_are_for_their_part(lab: &Lab) -> Result<()> {
    let knock = |from: u8, to: u8| {
        let files = "--cert /etc/swarm/up-cert.pem --key /etc/swarm/up-key.pem";
        let address = format!("https://{}:2376/_ping", lab.ip(to));
        let curl = "curl --silent --show-error --max-time 10 --cacert /etc/swarm/up-ca.pem";
        lab.sh(from, &format!("{curl} {files} {address} 2>&1 || true"))
    };
    ensure!(knock(1, 4)? == "OK", "{}", knock(1, 4)?);
    ensure!(knock(4, 1)?.starts_with("curl:"), "{}", knock(4, 1)?);
    Ok(())
}

/// The manager that is the primary falls silent, and comes back.
fn another_manager_takes_over(lab: &Lab, machines: &Machines<'_>, certs: &Path) -> Result<()> {
    let info = machines.endpoint(2, certs, &["info"]).ok()?;
    let named = info.lines().find_map(|line| line.trim().strip_prefix("Primary: "));
    // The primary itself names no other.
    let primary = named.map_or_else(|| lab.ip(2), |place| place.replace(":3376", ""));
    let lost = (1..=3).find(|host| primary == lab.ip(*host)).context("no primary")?;
    let other = if lost == 2 { 3 } else { 2 };
    lab.cut(lost, None)?;
    let run = ["run", "-d", "--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    until(LONG, "another manager takes over", || {
        Ok(machines.endpoint(other, certs, &run).ok().ok())
    })?;
    lab.heal(lost, None)?;
    until(LONG, "all are back", || Ok((healthy(machines, other, certs) == 4).then_some(())))
}

#[test]
fn machines_become_a_pool_and_are_what_they_were() -> Result<()> {
    let lab = Scratch::machines(4)?;
    let machines = Machines::new(&lab)?;
    let folder = tempfile::tempdir()?;
    let binary = stripped(folder.path(), "swarm", b"")?;
    let swarm = |arguments: &[&str]| machines.swarm(&binary, arguments);
    let before = (1..=4).map(|host| machines.files(host)).collect::<Result<Vec<_>>>()?;
    let listened = (1..=4).map(|host| machines.listening(host)).collect::<Result<Vec<_>>>()?;
    let opens = |host, new: &[&str]| opened(&machines, host, &listened, new);
    let same = |hosts: &[u8]| -> Result<()> {
        for host in hosts {
            let (now, was) = (machines.files(*host)?, &before[usize::from(*host) - 1]);
            let more: Vec<_> = now.symmetric_difference(was).collect();
            ensure!(more.is_empty(), "host {host}: {more:?}");
            opens(*host, &[])?;
        }
        Ok(())
    };
    let certs = folder.path().join("certs");
    let words = certs.display().to_string();
    let pool = ["--pool", "--name", "prod", "--managers", "3", "--certs", &words];
    let up = [&["up"], &pool[..], &["h1", "ann2", "h3"]].concat();

    // What stands in the way, and what would be done.
    let listener = "busybox nc -l -p 2376 >/dev/null 2>&1 & echo $!";
    let listens = lab.sh(3, listener)?;
    let taken = "h3: something else listens at port 2376, which the agent needs";
    until(LONG, "the port is taken", || {
        let told = swarm(&[&up[..], &["--dry-run"]].concat()).fails().unwrap_or_default();
        Ok(told.contains(taken).then_some(()))
    })?;
    lab.sh(3, &format!("kill {listens}"))?;
    let told = swarm(&[&up[..], &["--dry-run"]].concat()).ok()?;
    has(&told, &["h1: turn swarm-manage.service on", "ann2: put the pool's token for its agent"])?;
    ensure!(!certs.exists());
    same(&[1, 2, 3])?;

    // One manager, and then three, without a container stopped.
    let told = swarm(&["up", "--pool", "--name", "prod", "--certs", &words, "h1", "ann2"]).ok()?;
    println!("{told}");
    has(&told, &["ann2: turn swarm-join.service on: done", "prod: done, "])?;
    has(&told, &["export DOCKER_HOST=tcp://10.77.0.11:3376", "export DOCKER_TLS_VERIFY=1"])?;
    has(&told, &[&format!("export DOCKER_CERT_PATH={words}")])?;
    let sleeper = ["run", "-d", "--name", "first", "--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    let first = machines.endpoint(1, &certs, &sleeper).ok()?;
    let told = swarm(&up).ok()?;
    println!("{told}");
    has(&told, &["h1: restart swarm-manage.service", "ann2: turn swarm-manage.service on: done"])?;
    let listed = machines.endpoint(3, &certs, &["ps", "--quiet", "--no-trunc"]).ok()?;
    ensure!(listed == first, "it goes on: {listed}");
    for host in 1..=3 {
        let state = "systemctl is-active swarm-join swarm-manage; systemctl is-enabled swarm-join";
        ensure!(lab.sh(host, state)? == "active\nactive\nenabled");
        let tokens = lab.sh(host, "stat -c %a /etc/swarm/up-token /etc/swarm/up-key.pem")?;
        ensure!(tokens == "600\n600", "{tokens}");
    }

    // From the person's machine; each engine goes on listening at its socket alone.
    let docker = |by: u8, words: &[&str]| machines.endpoint(by, &certs, words);
    ensure!(healthy(&machines, 1, &certs) == 3);
    let run = ["run", "-d", "--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    for _ in 0..5 {
        docker(2, &run).ok()?;
    }
    let listed = docker(3, &["ps", "--format", "{{.Names}}"]).ok()?;
    ensure!((1..=3).all(|host| listed.contains(&format!("host-{host}/"))), "{listed}");
    let (agent, store, api) = ("tcp 0.0.0.0:2376", "tcp 0.0.0.0:2378", "tcp 0.0.0.0:3376");
    (1..=3).try_for_each(|host| opens(host, &[agent, store, api]))?;
    opens(4, &[])?;
    strangers_are_refused(&machines, &certs)?;

    // Again: nothing. A swarm is something else. One machine more.
    let told = swarm(&up).ok()?;
    ensure!(told == "prod: nothing to do: all is as it should be", "{told}");
    let told = swarm(&["up", "h1"]).fails()?;
    has(&told, &["h1: it is in a pool, and a machine is in a swarm or in a pool"])?;
    let told = swarm(&["up", "--pool", "--certs", &words, "ann2", "h4"]).ok()?;
    has(&told, &["h4: turn swarm-join.service on: done"])?;
    ensure!(!told.contains("swarm-manage") && !told.contains("ann2: restart"), "{told}");
    ensure!(healthy(&machines, 1, &certs) == 4);
    opens(4, &[agent])?;

    certificates_are_for_their_part(&lab)?;
    another_manager_takes_over(&lab, &machines, &certs)?;

    // A newer binary restarts agents and managers, and no container.
    let ids = || lab.sh(1, "docker ps --quiet --no-trunc");
    let had = ids()?;
    let newer = stripped(folder.path(), "newer", b"\n")?;
    let all = ["up", "--pool", "--certs", &words, "h1", "h2", "h3", "h4"];
    let told = machines.swarm(&newer, &all).ok()?;
    has(&told, &["over the one that is there: done", "h2: restart swarm-manage.service"])?;
    ensure!(ids()? == had && healthy(&machines, 1, &certs) == 4);

    // A manager leaves the others; then all of it, and the machines are what they were.
    let told = swarm(&["down", "--manager", "h1", "--manager", "h2", "h3"]).ok()?;
    has(&told, &["h3: leave the managers' store: done", "left to do: swarm up --pool"])?;
    same(&[3])?;
    until(LONG, "three are left", || Ok((healthy(&machines, 1, &certs) == 3).then_some(())))?;
    docker(1, &run).ok().context("two managers work")?;
    let told = machines.swarm(&newer, &all[..all.len() - 2]).ok()?;
    has(&told, &["h1: restart swarm-join.service", "2 managers stand the loss of 0"])?;
    let told = swarm(&["down", "h1", "ann2"]).fails()?;
    has(&told, &["1 engine of the pool prod would be left without a manager (10.77.0.14)"])?;
    let told = swarm(&["down", "h1", "ann2", "h4"]).ok()?;
    has(&told, &["ann2: remove /usr/local/bin/swarm"])?;
    same(&[1, 2, 3, 4])?;
    ensure!(ids()? == had || ids()?.contains(had.trim()), "what runs goes on");
    has(&swarm(&["down", "h1", "ann2", "h4"]).ok()?, &["nothing to do"])
}
