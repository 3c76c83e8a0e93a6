//! `cargo xtask demo`: three real Docker hosts, a pool manager over them, and a small workload
//! with the plain `docker` client.
//!
//! Invariants: however it ends (Ctrl-C once or twice, an error, a panic), the lab goes down; if
//! it is killed outright, a janitor takes the lab down, and `cargo xtask lab down` does so too.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use swarm_testkit::lab::{Lab, LabConfig, Manager, default_base, told};

use crate::progress::step;
use crate::signals::Interrupt;
use crate::{cargo, setup};

/// The hosts' disks, for the constraint to choose by.
const DISKS: [&str; 3] = ["ssd", "hdd", "hdd"];

/// For the manager to have looked at every engine.
const HEALTHY: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many Docker hosts to start
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=50))]
    hosts: u8,
    /// Build the manager as it ships (takes longer)
    #[arg(long)]
    release: bool,
    /// End after the workload instead of waiting for Ctrl-C
    #[arg(long)]
    once: bool,
    /// The lab's name
    #[arg(long, env = "LAB", default_value = "lab")]
    name: String,
}

pub fn run(args: &Args) -> Result<()> {
    println!("swarm: one Docker API over {} real Docker Engines\n", args.hosts);
    setup::base()?;
    // Without a step's spinner: cargo shows its own progress.
    eprintln!("  … build the swarm binary");
    let swarm = cargo::swarm(args.release)?;
    let running = Lab::attach(&default_base(), &args.name)?;
    if running.ls().iter().any(|host| host.pid.is_some()) {
        bail!("lab {0} is up already; `cargo xtask lab --name {0} down` ends it", args.name);
    }
    step("clear away what an earlier lab left", || running.down())?;
    let interrupt = Interrupt::install()?;
    let demo = Demo { lab: Lab::open(config(args))?, interrupt };
    let mut janitor = Command::new(std::env::current_exe()?);
    janitor.args(["lab", "--name", &args.name, "janitor"]);
    demo.lab.leash(janitor)?;
    match demo.show(args, &swarm) {
        // The person's own wish is a good end.
        Err(_) if demo.interrupt.check().is_err() => Ok(()),
        done => done,
    }
}

fn config(args: &Args) -> LabConfig {
    let mut config = LabConfig::named(&args.name);
    for i in 1..=args.hosts {
        let disk = DISKS[usize::from(i - 1) % DISKS.len()];
        let mut host = config.default.clone();
        host.args = vec![format!("--label=storage={disk}")];
        config.hosts.insert(i, host);
    }
    config
}

/// The running demonstration; dropping it takes the lab down.
struct Demo {
    lab: Lab,
    interrupt: Interrupt,
}

impl Drop for Demo {
    fn drop(&mut self) {
        println!();
        if let Err(error) = step("take the lab down", || self.lab.down()) {
            let name = &self.lab.config().name;
            eprintln!("{error:#}\n`cargo xtask lab --name {name} down` tries again");
        }
    }
}

impl Demo {
    fn show(&self, args: &Args, swarm: &std::path::Path) -> Result<()> {
        let n = args.hosts;
        step(&format!("boot {n} Docker hosts"), || self.lab.up(n))?;
        self.interrupt.check()?;
        step("make a test image and load it everywhere", || self.lab.image("busybox:latest"))?;
        self.interrupt.check()?;
        let manager = step("start `swarm manage` over them", || {
            let manager =
                self.lab.manage("demo", swarm, &["--strategy", "spread", &self.lab.nodes(n)])?;
            manager.wait_healthy(usize::from(n), HEALTHY)?;
            Ok(manager)
        })?;
        self.workload(&manager)?;
        explain(args, &manager);
        while !args.once && !self.interrupt.wait_a_little() {
            if !manager.answers() {
                bail!("the manager is gone; it said:\n{}", manager.log());
            }
        }
        Ok(())
    }

    fn workload(&self, manager: &Manager) -> Result<()> {
        let docker = |words: &[&str]| {
            self.interrupt.check()?;
            docker(manager, words)
        };
        say("Three containers; the strategy spreads them over the hosts:");
        for name in ["web-1", "web-2", "web-3"] {
            docker(&["run", "-d", "--name", name, "busybox", "sleep", "1d"])?.good()?;
        }
        say("One that must have a fast disk, which only some hosts are labelled with:");
        let constraint = "constraint:storage==ssd";
        docker(&["run", "-d", "--name", "db", "-e", constraint, "busybox", "sleep", "1d"])?
            .good()?;
        say("One that must be beside web-2:");
        let affinity = "affinity:container==web-2";
        docker(&["run", "-d", "--name", "cache", "-e", affinity, "busybox", "sleep", "1d"])?
            .good()?;
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
}

fn explain(args: &Args, manager: &Manager) {
    let lab = if args.name == "lab" { String::new() } else { format!("--name {} ", args.name) };
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

struct Ran {
    ok: bool,
    line: String,
}

impl Ran {
    fn good(self) -> Result<()> {
        if !self.ok {
            bail!("`{}` failed", self.line);
        }
        Ok(())
    }
}

fn say(text: &str) {
    println!("\n{text}");
}

/// Runs the plain client against the manager, showing the command and what it printed.
fn docker(manager: &Manager, words: &[&str]) -> Result<Ran> {
    let shown: Vec<_> = words
        .iter()
        .map(|w| {
            if w.contains([' ', '{', '\t']) {
                format!("'{}'", w.replace('\t', "\\t"))
            } else {
                (*w).into()
            }
        })
        .collect();
    let line = format!("docker {}", shown.join(" "));
    println!("  $ {line}");
    let output = Command::new("docker")
        .args(words)
        .env("DOCKER_HOST", manager.docker_host())
        .env_remove("DOCKER_CONTEXT")
        .env_remove("DOCKER_TLS_VERIFY")
        .output()
        .context("cannot run docker")?;
    let said = if output.status.success() {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    } else {
        told(&output)
    };
    said.lines().for_each(|line| println!("    {line}"));
    Ok(Ran { ok: output.status.success(), line })
}
