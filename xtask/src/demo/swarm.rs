//! The show of swarm mode: a swarm is formed, a stack deployed, a host killed, and its tasks come back
//! elsewhere.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use swarm_testkit::lab::{Daemon, until};

use super::shell::{docker, say};
use super::{Args, Demo, named};
use crate::progress::step;

/// For nodes and tasks to be what they should.
const LONG: Duration = Duration::from_mins(1);

/// The stack.
const STACK: &str = r#"version: "3.8"
services:
  web:
    image: busybox:latest
    command: ["sleep", "1d"]
    stop_signal: SIGKILL
    deploy:
      replicas: 4
  beside:
    image: busybox:latest
    command: ["sleep", "1d"]
    stop_signal: SIGKILL
    deploy:
      mode: global
"#;

/// Shows it.
pub fn show(demo: &Demo, args: &Args, swarm: &Path) -> Result<()> {
    let n = args.hosts;
    demo.boot(n)?;
    let folder = demo.lab.dir().join("daemons");
    let mut daemons = step("start `swarm daemon` beside each engine", || {
        (1..=n)
            .map(|i| demo.lab.daemon(i, swarm, &folder.join(format!("h{i}")), &[]))
            .collect::<Result<Vec<_>>>()
    })?;
    let hosts: Vec<_> = daemons.iter().map(host_of).collect();
    let on = |i: usize, words: &[&str]| {
        demo.interrupt.check()?;
        docker(&hosts[i], words)
    };
    let first = format!("{}:2377", demo.lab.ip(1));
    say("A swarm begins on the first host, and the others join it, two of them as managers:");
    on(0, &["swarm", "init", "--advertise-addr", &demo.lab.ip(1)])?.good()?;
    for i in 1..usize::from(n) {
        let role = if i < 3 { "manager" } else { "worker" };
        let token = quiet(&hosts[0], &["swarm", "join-token", "--quiet", role])?;
        on(i, &["swarm", "join", "--token", token.trim(), &first])?.good()?;
    }
    until(LONG, "every node is ready", || {
        let told = quiet(&hosts[0], &["node", "ls", "--format", "{{.Status}}"])?;
        Ok((told.lines().filter(|line| *line == "Ready").count() == usize::from(n)).then_some(()))
    })?;
    on(0, &["node", "ls"])?.good()?;
    say("A stack of two services, four tasks and one on each node:");
    let file = demo.lab.put("stack.yaml", STACK)?;
    on(0, &["stack", "deploy", "--compose-file", &file.display().to_string(), "demo"])?.good()?;
    let wanted = 4 + usize::from(n);
    until(LONG, "all tasks run", || Ok((running(&hosts[0])?.len() == wanted).then_some(())))?;
    on(0, &["stack", "ps", "--format", "table {{.Name}}\t{{.Node}}\t{{.CurrentState}}", "demo"])?
        .good()?;
    say("Now the first host, which leads, loses its power:");
    let begin = Instant::now();
    demo.lab.kill(1)?;
    until(LONG, "its tasks run elsewhere", || {
        demo.interrupt.check()?;
        let Ok(now) = running(&hosts[1]) else { return Ok(None) };
        // The task of the global service is the dead host's own, and waits for it.
        let web: Vec<_> = now.iter().filter(|(name, _)| name.starts_with("demo_web")).collect();
        let all_elsewhere = web.iter().all(|(_, node)| node != "host-1");
        Ok((web.len() == 4 && all_elsewhere).then_some(()))
    })?;
    println!(
        "    after {:.1} s another manager leads, and its tasks run elsewhere",
        begin.elapsed().as_secs_f64()
    );
    on(1, &["node", "ls"])?.good()?;
    on(
        1,
        &[
            "stack",
            "ps",
            "--format",
            "table {{.Name}}\t{{.Node}}\t{{.DesiredState}}\t{{.CurrentState}}",
            "demo",
        ],
    )?
    .good()?;
    explain(args, &hosts[1]);
    while !args.once && !demo.interrupt.wait_a_little() {
        let mut left = daemons.iter_mut().skip(1);
        let gone = left.find_map(|daemon| daemon.is_gone().then_some(daemon));
        if let Some(daemon) = gone {
            bail!("a daemon is gone; {}", daemon.log());
        }
    }
    Ok(())
}

fn host_of(daemon: &Daemon<'_>) -> String {
    format!("unix://{}", daemon.sock().display())
}

/// The names and nodes of the stack's running tasks.
fn running(host: &str) -> Result<Vec<(String, String)>> {
    let format = "{{.Name}} {{.Node}} {{.DesiredState}} {{.CurrentState}}";
    let told = quiet(host, &["stack", "ps", "--format", format, "demo"])?;
    let runs = told.lines().filter(|line| line.contains(" Running Running "));
    let words = runs.filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    });
    Ok(words.collect())
}

/// Runs the client without showing it.
fn quiet(host: &str, words: &[&str]) -> Result<String> {
    let output = super::shell::client(host, words).output()?;
    if !output.status.success() {
        bail!("docker {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn explain(args: &Args, host: &str) {
    let lab = named(args);
    println!(
        "\nThe swarm is yours, from any shell:\n\n  \
             export DOCKER_HOST={host}\n  docker service ls\n  \
             docker service create --name mine busybox sleep 1d\n\n\
             The dead host's engine comes back by\n\n  cargo xtask lab {lab}start 1\n\n\
             and its node as soon as `swarm daemon` is started there."
    );
    if !args.once {
        println!("\nCtrl-C ends it and removes everything.");
    }
}
