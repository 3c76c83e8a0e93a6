//! `cargo xtask torture`: pools whose parts fail, first on virtual time and then on real engines.
//! All the work is the simulation's (`swarm-sim`) and the end-to-end crate's (`swarm_e2e::torture`).

use anyhow::Result;

use crate::cargo::{cargo, show, swarm};
use crate::progress::step;
use crate::setup;

/// Simulated rounds for each minute of real ones: some seconds' work.
const SIMULATED: u64 = 200;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first round's seed; the next ones follow it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For how many minutes rounds on real engines are begun; 0 plays one
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Leave out the simulation
    #[arg(long)]
    no_sim: bool,
    /// More for the rounds on real engines: --storm SECONDS, --keep FOLDER, --keep-going
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    setup::base()?;
    let (seed, minutes) = (args.seed.to_string(), args.minutes.to_string());
    if !args.no_sim && args.minutes > 0 {
        let rounds = (SIMULATED * args.minutes).to_string();
        let mut simulation = cargo(&["run", "--quiet", "--package", "swarm-sim", "--"]);
        simulation.args(["--first", &seed, "--rounds", &rounds]);
        step(&format!("{rounds} rounds on virtual time"), || show(simulation))?;
    }
    let mut rounds = cargo(&["run", "--quiet", "--package", "swarm-e2e", "--bin", "torture", "--"]);
    rounds.args(["--seed", &seed, "--minutes", &minutes]).args(&args.arguments);
    // It starts the janitor too, which a build of one program leaves out.
    show(cargo(&["build", "--quiet", "--package", "swarm-e2e", "--bins"]))?;
    rounds.env("SWARM_BIN", swarm(false)?);
    show(rounds)
}
