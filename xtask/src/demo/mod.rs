//! `cargo xtask demo`: three real Docker hosts with a pool manager over them, or (`--swarm`) with a
//! daemon beside each, and a small workload with the plain `docker` client.
//!
//! `pool` and `swarm` are the two shows, `shell` runs the client and shows what it said.
//!
//! Invariants: however it ends (Ctrl-C once or twice, an error, a panic), the lab goes down; if
//! it is killed outright, a janitor takes the lab down, and `cargo xtask lab down` does so too.

mod pool;
mod shell;
mod swarm;

use std::process::Command;

use anyhow::{Result, bail};
use swarm_testkit::lab::{Lab, LabConfig, default_base};

use crate::progress::step;
use crate::signals::Interrupt;
use crate::{cargo, setup};

/// The hosts' disks, for the constraint to choose by.
const DISKS: [&str; 3] = ["ssd", "hdd", "hdd"];

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many Docker hosts to start
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=50))]
    hosts: u8,
    /// Build the manager as it ships (takes longer)
    #[arg(long)]
    release: bool,
    /// Show swarm mode (swarm daemon) instead of a pool (swarm manage)
    #[arg(long)]
    swarm: bool,
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
    let shown =
        if args.swarm { swarm::show(&demo, args, &swarm) } else { pool::show(&demo, args, &swarm) };
    match shown {
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
    fn boot(&self, n: u8) -> Result<()> {
        step(&format!("boot {n} Docker hosts"), || self.lab.up(n))?;
        self.interrupt.check()?;
        step("make a test image and load it everywhere", || self.lab.image("busybox:latest"))?;
        self.interrupt.check()
    }
}

/// What to say to `cargo xtask lab` for it to mean this lab.
fn named(args: &Args) -> String {
    if args.name == "lab" { String::new() } else { format!("--name {} ", args.name) }
}
