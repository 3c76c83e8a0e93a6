//! `cargo xtask lab`: the lab's verbs for a person at a shell. All the work is the library's
//! (`swarm_testkit::lab`); this file reads arguments and prints answers.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use swarm_testkit::lab::{Lab, LabConfig, RegistryConfig, RegistryPlace, default_base, janitor};

use crate::progress::step;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Environment: DOCKERD, CONTAINERD, DOCKERD_ARGS choose the engine of all hosts when they are next
started, DOCKERD_3 that of host 3; LAB_NET (10.77.0) and LAB_MTU (1500) the network of a new lab;
LAB_BASE the folder of all labs. Host I is 10.77.0.(10+I), named host-I, and listens on port 2375.")]
pub struct Args {
    /// The lab's name: several labs can be up at once
    #[arg(long, env = "LAB", default_value = "lab", global = true)]
    name: String,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Boot hosts 1..=N and wait for their engines; those already up are left alone
    Up { n: u8 },
    /// Boot one host (again), with the data it had
    Start { i: u8 },
    /// Run a command inside a host; `docker` there talks to its engine
    Exec {
        i: u8,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Run a command in the network of the manager, which reaches every host
    Fab {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Power cut: silence first, then everything on the host is gone
    Kill { i: u8 },
    /// Kill every process of a host; peers see their connections reset
    Crash { i: u8 },
    /// SIGKILL a host's dockerd alone
    Killd { i: u8 },
    /// Start a host's dockerd again
    Startd { i: u8 },
    /// Stop a host's dockerd in its tracks (SIGSTOP): it neither answers nor hangs up
    Pause { i: u8 },
    /// Let a paused dockerd go on
    Resume { i: u8 },
    /// Cut a host's cable, or only the path to host J (0: to the manager)
    Cut { i: u8, j: Option<u8> },
    /// Undo a cut
    Heal { i: u8, j: Option<u8> },
    /// Load an image archive into a host's engine
    Load { i: u8, tar: PathBuf },
    /// Put the test image (busybox) on every host that is up
    Image {
        #[arg(default_value = "busybox:latest")]
        image: String,
    },
    /// Start a registry beside the manager, or inside a host
    Registry {
        #[arg(long)]
        host: Option<u8>,
        #[arg(long, default_value_t = 5000)]
        port: u16,
        /// Ask for this user and password
        #[arg(long, value_name = "USER:PASSWORD")]
        auth: Option<String>,
    },
    /// List the hosts of the lab
    Ls,
    /// List the labs of this machine
    Labs,
    /// Print a host's address
    Ip { i: u8 },
    /// Print a host's engine socket
    Sock { i: u8 },
    /// Print what a host's dockerd logged
    Log { i: u8 },
    /// Remove the lab: processes, mounts, namespaces, cgroups, files
    Down {
        /// Every lab on this machine
        #[arg(long)]
        all: bool,
    },
    /// Take the lab down when standard input ends
    #[command(hide = true)]
    Janitor,
}

pub fn run(args: &Args) -> Result<()> {
    let base = default_base();
    let lab = || Lab::attach(&base, &args.name);
    match &args.verb {
        Verb::Up { n } => {
            let lab = configured(&args.name)?;
            step(&format!("boot {n} Docker hosts"), || lab.up(*n))?;
            list(&lab);
        }
        Verb::Start { i } => {
            let lab = configured(&args.name)?;
            step(&format!("boot host {i}"), || lab.start(*i))?;
        }
        Verb::Exec { i, command } => {
            let (program, rest) = command.split_first().context("no command")?;
            return Err(lab()?.command(*i, program)?.args(rest).exec().into());
        }
        Verb::Fab { command } => {
            let (program, rest) = command.split_first().context("no command")?;
            return Err(lab()?.fabric_command(program).args(rest).exec().into());
        }
        Verb::Kill { i } => lab()?.kill(*i)?,
        Verb::Crash { i } => lab()?.crash(*i)?,
        Verb::Killd { i } => lab()?.kill_dockerd(*i)?,
        Verb::Startd { i } => configured(&args.name)?.start_dockerd(*i)?,
        Verb::Pause { i } => lab()?.pause_dockerd(*i)?,
        Verb::Resume { i } => lab()?.resume_dockerd(*i)?,
        Verb::Cut { i, j } => lab()?.cut(*i, *j)?,
        Verb::Heal { i, j } => lab()?.heal(*i, *j)?,
        Verb::Load { i, tar } => lab()?.load(*i, tar)?,
        Verb::Image { image } => {
            let lab = lab()?;
            let tar = step(&format!("put {image} on every host"), || lab.image(image))?;
            println!("{}", tar.display());
        }
        Verb::Registry { host, port, auth } => {
            let place = host.map_or(RegistryPlace::Fabric, RegistryPlace::Host);
            let config = RegistryConfig { place, port: *port, auth: credentials(auth.as_deref())? };
            println!("{}", lab()?.registry(&config)?.address);
        }
        Verb::Ls => list(&lab()?),
        Verb::Labs => Lab::list(&base).iter().for_each(|name| println!("{name}")),
        Verb::Ip { i } => println!("{}", lab()?.ip(*i)),
        Verb::Sock { i } => println!("{}", lab()?.sock(*i).display()),
        Verb::Log { i } => print!("{}", lab()?.log(*i)?),
        Verb::Down { all } => {
            let names = if *all { Lab::list(&base) } else { vec![args.name.clone()] };
            for name in names {
                step(&format!("take lab {name} down"), || Lab::attach(&base, &name)?.down())?;
            }
        }
        Verb::Janitor => janitor(&base, &args.name)?,
    }
    Ok(())
}

/// The lab with the environment's wishes; a lab that exists keeps its network.
fn configured(name: &str) -> Result<Lab> {
    let base = default_base();
    let exists = Lab::list(&base).iter().any(|lab| lab == name);
    let saved = Lab::attach(&base, name)?.config();
    let mut config: LabConfig = saved.clone();
    config.apply_env()?;
    if exists && (&config.net, config.mtu) != (&saved.net, saved.mtu) {
        bail!("lab {name} is up with network {}.0/24, MTU {}", saved.net, saved.mtu);
    }
    Lab::open(config)
}

fn credentials(text: Option<&str>) -> Result<Option<(String, String)>> {
    let Some(text) = text else { return Ok(None) };
    let (user, password) = text.split_once(':').context("--auth: USER:PASSWORD")?;
    Ok(Some((user.into(), password.into())))
}

fn list(lab: &Lab) {
    for host in lab.ls() {
        let state = match (host.pid, host.answers) {
            (None, _) => "down".to_owned(),
            (Some(pid), true) => format!("up, pid {pid}"),
            (Some(pid), false) => format!("up, pid {pid}, engine silent"),
        };
        println!("{:<3} {:<12} {:<28} {}", host.number, host.ip, state, host.sock.display());
    }
}
