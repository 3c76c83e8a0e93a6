//! Nodes and managers whose clocks are wrong, and clocks that jump: what is told of them, and that nothing
//! is restarted for it. A daemon's clock is shifted by libfaketime; what measures time (heartbeats,
//! delays) goes by another clock, as on a machine whose date is set.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Daemons, IMAGE, exclusive, swarm, until};

const LONG: Duration = Duration::from_mins(1);

/// The library, where Debian has it.
fn library() -> Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib")?.filter_map(Result::ok);
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    found.find(|path| path.exists()).context("no libfaketime: run `cargo xtask setup`")
}

/// Shifts the clock of a host's daemon, whether it runs or is yet to: `+3d`, `-2h`, `+0`.
fn shift(nodes: &Daemons<'_>, host: u8, by: &str) -> Result<()> {
    let folder = nodes.folder(host);
    fs::create_dir_all(&folder)?;
    // Replaced as a whole: it is read at any moment.
    fs::write(folder.join("clock.new"), by)?;
    Ok(fs::rename(folder.join("clock.new"), folder.join("clock"))?)
}

/// Starts a host's daemon with a clock that can be shifted.
fn launch(nodes: &mut Daemons<'_>, host: u8) -> Result<()> {
    let (library, clock) = (library()?, nodes.folder(host).join("clock"));
    let (library, clock) = (library.display().to_string(), clock.display().to_string());
    let variables = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", clock.as_str()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("NO_FAKE_STAT", "1"),
    ];
    nodes.launch_with(host, &[], &variables)
}

fn status(nodes: &Daemons<'_>, host: u8) -> Result<String> {
    let socket = format!("unix://{}", nodes.sock(host).display());
    let mut command = Command::new(swarm()?);
    let Output { stdout, stderr, .. } = command.args(["status", "--host", &socket]).output()?;
    Ok(String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// Waits until `swarm status` on a host says this.
fn says(nodes: &Daemons<'_>, host: u8, words: &str) -> Result<()> {
    let mut last = String::new();
    until(LONG, format_args!("the status {words:?}"), || {
        last = status(nodes, host)?;
        Ok(last.contains(words).then_some(()))
    })
    .with_context(|| format!("{last}\n{}", nodes.logs()))
}

fn info(nodes: &Daemons<'_>, host: u8) -> Result<String> {
    nodes.docker(host, &["info", "--format", "{{.Swarm.Error}}"]).ok()
}

/// All tasks of a service that there ever were, with their states.
fn tasks(nodes: &Daemons<'_>, by: u8, service: &str) -> Result<Vec<String>> {
    let format = "{{.ID}} {{.Node}} {{.DesiredState}}";
    let listed = nodes.docker(by, &["service", "ps", "--format", format, service]).ok()?;
    let mut all: Vec<_> = listed.lines().map(str::to_owned).collect();
    all.sort();
    Ok(all)
}

fn sleepers(nodes: &Daemons<'_>, by: u8, name: &str, replicas: &str) -> Result<()> {
    let create =
        ["service", "create", "--name", name, "--replicas", replicas, "--update-delay", "1s"];
    let sleep = ["--stop-signal", "KILL", IMAGE, "sleep", "1d"];
    nodes.docker(by, &[&create[..], &sleep].concat()).ok().map(drop)
}

/// A job that ends at once.
fn job(nodes: &Daemons<'_>, by: u8, name: &str) -> Result<()> {
    let create = ["service", "create", "--detach", "--mode", "replicated-job", "--name", name];
    nodes.docker(by, &[&create[..], &[IMAGE, "true"]].concat()).ok()?;
    until(LONG, "the job is done", || {
        let format =
            ["service", "ls", "--filter", &format!("name={name}"), "--format", "{{.Replicas}}"];
        Ok(nodes.docker(by, &format).ok()?.contains("1/1 completed").then_some(()))
    })
    .with_context(|| nodes.logs())
}

#[test]
fn a_worker_s_wrong_clock_is_told_with_the_other_one_and_restarts_nothing() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::start(&lab, &[])?;
    for (host, by) in [(1, "+0"), (2, "-3d"), (3, "+3d")] {
        shift(&nodes, host, by)?;
        launch(&mut nodes, host)?;
    }
    nodes.docker(1, &["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;

    // Behind the root's own beginning nobody can be trusted.
    let told = nodes.join(2, 1, "worker")?.fails()?;
    println!("three days behind: {told}");
    for words in
        ["this machine's clock shows 20", "the manager's 20", "it is 3 days behind. Set whichever"]
    {
        ensure!(told.contains(words), "{words}: {told}");
    }
    shift(&nodes, 2, "+0")?;
    nodes.join(2, 1, "worker")?.ok()?;
    // Ahead, within the certificates' life, it works and is told.
    nodes.join(3, 1, "worker")?.ok()?;
    nodes.ready(1, 3)?;
    says(&nodes, 1, "the clock of node host-3 is 3 days ahead of the leader's")?;
    let inspect = ["node", "inspect", "--format", "{{.Status.Message}}", "host-3"];
    let message = nodes.docker(1, &inspect).ok()?;
    ensure!(message == "its clock is 3 days ahead of the leader's", "{message}");
    sleepers(&nodes, 1, "web", "6")?;
    let before = tasks(&nodes, 1, "web")?;
    ensure!(before.iter().any(|task| task.contains("host-3")), "it is given tasks: {before:?}");

    // It jumps while it runs: told within seconds, and that is all.
    let begun = Instant::now();
    shift(&nodes, 3, "-3d")?;
    says(&nodes, 1, "the clock of node host-3 is 3 days behind the leader's")?;
    println!("a jump is told after {:.1?}", begun.elapsed());
    shift(&nodes, 3, "+100d")?;
    says(&nodes, 1, "the clock of node host-3 is 100 days ahead of the leader's")?;
    nodes.ready(1, 3)?;
    ensure!(tasks(&nodes, 1, "web")? == before, "no task was restarted");

    // All certificates have ended there: once its session is over nothing is let pass. It says why.
    nodes.kill(3)?;
    launch(&mut nodes, 3)?;
    until(LONG, "it says that it finds no leader", || {
        let why = info(&nodes, 3)?;
        let words =
            ["no leader is found", "has expired", "this machine's clock shows", "100 days ahead"];
        Ok(words.iter().all(|part| why.contains(part)).then(|| println!("past the end: {why}")))
    })
    .with_context(|| nodes.logs())?;
    says(&nodes, 3, "100 days ahead")?;
    until(LONG, "it tries to renew its certificate", || {
        Ok(nodes.logs().contains("the certificate was not renewed").then_some(()))
    })
    .with_context(|| nodes.logs())?;
    shift(&nodes, 3, "+0")?;
    nodes.ready(1, 3)?;
    until(LONG, "all is well", || {
        Ok((info(&nodes, 3)?.is_empty() && !status(&nodes, 1)?.contains("clock")).then_some(()))
    })
    .with_context(|| nodes.logs())?;
    until(LONG, "six run", || {
        let running = tasks(&nodes, 1, "web")?;
        Ok((running.iter().filter(|task| task.ends_with("Running")).count() == 6).then_some(()))
    })?;
    Ok(())
}

#[test]
fn a_leader_whose_clock_is_ahead_breaks_nothing_for_the_others() -> Result<()> {
    let lab = exclusive()?;
    let mut nodes = Daemons::start(&lab, &[])?;
    for host in [1, 2, 3] {
        shift(&nodes, host, "+0")?;
        launch(&mut nodes, host)?;
    }
    nodes.docker(1, &["swarm", "init", "--advertise-addr", &lab.ip(1)]).ok()?;
    // A daemon's restart is no silence here, however busy the machine is.
    nodes.docker(1, &["swarm", "update", "--dispatcher-heartbeat", "5s"]).ok()?;
    nodes.join(2, 1, "manager")?.ok()?;
    nodes.ready(1, 2)?;
    sleepers(&nodes, 1, "early", "2")?;
    shift(&nodes, 1, "+2h")?;

    // Who joins now gets a certificate that the others, whose clocks are right, accept too.
    nodes.join(3, 1, "manager")?.ok()?;
    nodes.ready(1, 3)?;
    for by in [1, 2] {
        says(
            &nodes,
            by,
            "the clock of manager host-1, which leads, is 2 h ahead of the other nodes'",
        )?;
    }
    sleepers(&nodes, 1, "web", "3")?;
    let update = ["service", "update", "--env-add", "A=1", "web"];
    let begun = Instant::now();
    nodes.docker(2, &update).ok()?;
    println!("an update of three, a second between: {:.1?}", begun.elapsed());
    ensure!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    job(&nodes, 2, "ahead")?;
    let before = [tasks(&nodes, 2, "early")?, tasks(&nodes, 2, "web")?];

    // Another one leads, whose clock shows less than what was written.
    nodes.kill(1)?;
    until(LONG, "another one leads", || {
        let listed = nodes.docker(2, &["node", "ls", "--format", "{{.ManagerStatus}}"]).ok();
        Ok(listed.is_ok_and(|listed| listed.contains("Leader")).then_some(()))
    })?;
    shift(&nodes, 1, "+0")?;
    launch(&mut nodes, 1)?;
    nodes.ready(2, 3)?;
    let over = Instant::now() + Duration::from_secs(10);
    while Instant::now() < over {
        let now = [tasks(&nodes, 2, "early")?, tasks(&nodes, 2, "web")?];
        ensure!(now == before, "nothing flaps: {now:?}, {before:?}");
    }
    let begun = Instant::now();
    nodes.docker(3, &["service", "update", "--env-add", "A=2", "web"]).ok()?;
    println!("the same under a leader whose clock is right: {:.1?}", begun.elapsed());
    ensure!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    job(&nodes, 3, "after")?;
    until(LONG, "no clock is off", || Ok((!status(&nodes, 2)?.contains("clock")).then_some(())))
        .with_context(|| nodes.logs())?;
    Ok(())
}
