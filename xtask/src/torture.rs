//! `cargo xtask torture`: pools whose parts fail, first on virtual time and then on real engines.
//! All the work is the simulation's (`swarm-sim`) and the end-to-end crate's (`swarm_e2e::torture`; with
//! `--swarm` its test `swarm_linear`).

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cargo::{cargo, show, swarm};
use crate::progress::step;
use crate::setup;

/// Simulated rounds for each minute of real ones: some seconds' work.
const SIMULATED: u64 = 200;
/// A round of swarm mode: some twenty faults.
const LINEAR: Duration = Duration::from_mins(1);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first round's seed; the next ones follow it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For how many minutes rounds on real engines are begun; 0 plays one
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Swarm mode instead: what three managers that fail answer their clients, judged as a whole
    #[arg(long, conflicts_with_all = ["no_sim", "arguments"])]
    swarm: bool,
    /// Leave out the simulation
    #[arg(long)]
    no_sim: bool,
    /// More for the rounds on real engines: --storm SECONDS, --keep FOLDER, --keep-going
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    setup::base()?;
    if args.swarm {
        return linear(args);
    }
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

/// Rounds of swarm mode, until no more are to be begun.
fn linear(args: &Args) -> Result<()> {
    let (binary, begun) = (swarm(false)?, Instant::now());
    show(cargo(&["build", "--quiet", "--package", "swarm-e2e", "--bins"]))?;
    let mut seed = args.seed;
    loop {
        let test = ["test", "--quiet", "--package", "swarm-e2e", "--test", "swarm_linear"];
        let mut round = cargo(&test);
        round.args(["--", "--nocapture"]).env("SWARM_BIN", &binary);
        round.env("SWARM_LINEAR_SEED", seed.to_string());
        round.env("SWARM_LINEAR_SECONDS", LINEAR.as_secs().to_string());
        step(&format!("seed {seed}"), || show(round))?;
        seed += 1;
        if begun.elapsed() >= Duration::from_secs(60 * args.minutes) {
            return Ok(());
        }
    }
}
