//! The show of a pool: three containers spread, one constrained, one beside another, one refused.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use swarm_testkit::lab::Manager;

use super::shell::{docker, say};
use super::{Args, Demo, named};
use crate::progress::step;

/// For the manager to have looked at every engine.
const HEALTHY: Duration = Duration::from_secs(30);

/// Shows it.
pub fn show(demo: &Demo, args: &Args, swarm: &Path) -> Result<()> {
    let n = args.hosts;
    demo.boot(n)?;
    let manager = step("start `swarm manage` over them", || {
        let manager =
            demo.lab.manage("demo", swarm, &["--strategy", "spread", &demo.lab.nodes(n)])?;
        manager.wait_healthy(usize::from(n), HEALTHY)?;
        Ok(manager)
    })?;
    workload(demo, &manager)?;
    explain(args, &manager);
    while !args.once && !demo.interrupt.wait_a_little() {
        if !manager.answers() {
            bail!("the manager is gone; it said:\n{}", manager.log());
        }
    }
    Ok(())
}

fn workload(demo: &Demo, manager: &Manager) -> Result<()> {
    let docker = |words: &[&str]| {
        demo.interrupt.check()?;
        docker(&manager.docker_host(), words)
    };
    say("Three containers; the strategy spreads them over the hosts:");
    for name in ["web-1", "web-2", "web-3"] {
        docker(&["run", "-d", "--name", name, "busybox", "sleep", "1d"])?.good()?;
    }
    say("One that must have a fast disk, which only some hosts are labelled with:");
    let constraint = "constraint:storage==ssd";
    docker(&["run", "-d", "--name", "db", "-e", constraint, "busybox", "sleep", "1d"])?.good()?;
    say("One that must be beside web-2:");
    let affinity = "affinity:container==web-2";
    docker(&["run", "-d", "--name", "cache", "-e", affinity, "busybox", "sleep", "1d"])?.good()?;
    say("One that no host can take; the manager says why:");
    let nowhere = "constraint:storage==tape";
    let refused = docker(&["run", "-d", "-e", nowhere, "busybox", "true"])?;
    if refused.ok {
        bail!("a container with {nowhere} was placed");
    }
    say("Where everything is:");
    docker(&["ps", "--format", "table {{.Names}}\t{{.Image}}\t{{.Status}}"])?.good()?;
    say("And a command in one of them, by its name alone:");
    docker(&["exec", "web-2", "hostname"])?.good()
}

fn explain(args: &Args, manager: &Manager) {
    let lab = named(args);
    println!(
        "\nThe pool is yours, from any shell:\n\n  \
             export DOCKER_HOST={}\n  docker info\n  docker run -d busybox sleep 1d\n\n\
             What happens when a host loses its power, and comes back?\n\n  \
             cargo xtask lab {lab}kill 2\n  docker info\n  cargo xtask lab {lab}start 2",
        manager.docker_host()
    );
    if !args.once {
        println!("\nCtrl-C ends it and removes everything.");
    }
}
