//! `cargo xtask bench --swarm`: `swarm daemon` against the engine's own swarm mode.
//!
//! Both run on the same engine, the same machine, in one run and turn by turn (ours, Docker's, ours,
//! …), each turn on a lab of its own: what else the machine does hits both. The figures are medians
//! over the turns.
//!
//! Reading order: `cluster` (five hosts and one kind of swarm on them), `service` (what is deployed),
//! `scenes` (what is done and timed), `faults`, `rest` (memory and idle CPU), `cost` (CPU and memory
//! from `/proc`), `table` (goals and Markdown).

mod cluster;
mod cost;
mod faults;
mod rest;
mod scenes;
mod service;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use swarm_testkit::lab::{Lab, LabConfig, Newer, default_base};

use crate::progress::step;
use crate::signals::Interrupt;
use crate::{cargo, setup, sid};

use self::cluster::{Cluster, Side};

/// Managers and workers together.
const HOSTS: u8 = 5;

/// Swarm mode against Docker's own, on five real engines, turn by turn.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench --swarm", max_term_width = 100)]
pub struct Options {
    /// Turns of each side; the figures are their medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// What to do in a turn; everything but `leaders` when absent
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Measure one side alone
    #[arg(long, value_enum)]
    side: Option<Side>,
    /// Write the table as Markdown to this file
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// The lab's name
    #[arg(long, env = "LAB", default_value = "bench")]
    name: String,
}

/// A part of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Create 20 and 50 replicas
    Create,
    /// 1 to 30 replicas, and back
    Scale,
    /// Rolling update of 10 by 2
    Update,
    /// Memory and idle CPU with 50 tasks on one worker
    Rest,
    /// A worker's power cut, then the leader's of three managers
    Faults,
    /// 20 power cuts of whoever leads three managers; by name alone, since it takes minutes
    Leaders,
}

/// What one turn brought: figure by name.
pub type Figures = BTreeMap<&'static str, f64>;

pub fn run(options: &Options) -> Result<()> {
    if [Part::Leaders, Part::Faults].iter().all(|part| options.only.contains(part)) {
        bail!("--only: leaders ends with another leader than faults begins with; give one of them");
    }
    setup::base()?;
    sid::fetch()?;
    let newer = Newer::find()?;
    eprintln!("  … build the swarm binary as it ships");
    let swarm = cargo::swarm(true)?;
    let interrupt = Interrupt::install()?;
    let mut all: BTreeMap<Side, Vec<Figures>> = BTreeMap::new();
    let mut loads = vec![table::load()];
    let mut text = String::new();
    for round in 1..=options.rounds {
        for side in [Side::Ours, Side::Dockers] {
            if options.side.is_some_and(|only| only != side) {
                continue;
            }
            eprintln!("turn {round} of {}: {}", options.rounds, side.name());
            let figures = turn(options, side, &newer, &swarm, &interrupt)?;
            for (name, figure) in &figures {
                eprintln!("      {name}: {figure:.2}");
            }
            all.entry(side).or_default().push(figures);
            loads.push(table::load());
            // After each turn: what an interrupted run has measured is not lost.
            text = table::head(&newer, &swarm, &loads)? + &table::markdown(&all);
            if let Some(file) = &options.markdown {
                fs::write(file, &text).with_context(|| file.display().to_string())?;
            }
        }
    }
    println!("{text}");
    Ok(())
}

/// One side's turn, on a lab that goes down with it.
fn turn(
    options: &Options,
    side: Side,
    newer: &Newer,
    swarm: &std::path::Path,
    interrupt: &Interrupt,
) -> Result<Figures> {
    let mut config = LabConfig::named(&options.name);
    newer.engine(&mut config.default);
    Lab::attach(&default_base(), &options.name)?.down()?;
    let lab = Booted(Lab::open(config)?);
    let mut janitor = Command::new(std::env::current_exe()?);
    janitor.args(["lab", "--name", &options.name, "janitor"]);
    lab.0.leash(janitor)?;
    step(&format!("boot {HOSTS} Docker hosts"), || {
        lab.0.up(HOSTS)?;
        lab.0.image(service::IMAGE)
    })?;
    let mut figures = Figures::new();
    let usual = |part| options.only.is_empty() && part != Part::Leaders;
    let wanted = |part| usual(part) || options.only.contains(&part);
    let mut cluster = step("form a swarm", || Cluster::form(&lab.0, side, swarm, &mut figures))?;
    let parts: [(Part, &str, Scene); 6] = [
        (Part::Create, "create 20 and 50 replicas", scenes::create),
        (Part::Scale, "scale to 30 and back", scenes::scale),
        (Part::Update, "update 10 by 2", scenes::update),
        (Part::Rest, "rest with 50 tasks on one worker", rest::rest),
        (Part::Leaders, "20 power cuts of the leader", faults::leaders),
        (Part::Faults, "power cuts of a worker and of the leader", faults::faults),
    ];
    for (part, what, scene) in parts {
        interrupt.check()?;
        if wanted(part) {
            step(what, || scene(&mut cluster, &mut figures)).with_context(|| cluster.logs())?;
        }
    }
    Ok(figures)
}

/// Does a part of a turn.
type Scene = fn(&mut Cluster<'_>, &mut Figures) -> Result<()>;

/// A lab that goes down when it is dropped.
struct Booted(Lab);

impl Drop for Booted {
    fn drop(&mut self) {
        if let Err(error) = self.0.down() {
            eprintln!("the lab does not go down: {error:#}");
        }
    }
}
