//! Plays rounds of faults on real engines for a while, and tells how to play one again that broke a
//! rule. A round's seed decides what goes wrong in it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use swarm_e2e::torture::{Outcome, around, lab, play};

/// What is shown of a history around a breach.
const BEFORE: u64 = 30_000;
const AFTER: u64 = 5_000;

/// Kills, cuts and pauses the parts of a pool on real engines, and checks all that happens.
#[derive(Debug, Parser)]
struct Args {
    /// The first round's seed; the next ones follow it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For how many minutes rounds are begun; 0 plays one.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// How many seconds things go wrong in a round.
    #[arg(long, default_value_t = 30)]
    storm: u64,
    /// Goes on after a breach.
    #[arg(long)]
    keep_going: bool,
    /// Writes each round's history, and the managers' logs of one that broke a rule, to this folder.
    #[arg(long)]
    keep: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let (begun, mut seed) = (Instant::now(), args.seed);
    let mut sums = Sums::default();
    let lab = lab()?;
    loop {
        let start = Instant::now();
        let outcome = play(&lab, seed, Duration::from_secs(args.storm))
            .with_context(|| format!("the round of seed {seed}"))?;
        println!("{}", line(&outcome, start.elapsed()));
        keep(&args, &outcome)?;
        sums.take(&outcome);
        if let Some(breach) = &outcome.breach {
            let again = format!("cargo xtask torture --seed {seed} --minutes 0");
            println!("BREACH in seed {seed}: {breach}\n    {again} --storm {}", args.storm);
            println!("{}", around(&outcome.history, breach.at, BEFORE, AFTER));
        }
        seed = seed.wrapping_add(1);
        let over = begun.elapsed() >= Duration::from_secs(60 * args.minutes);
        if over || outcome.breach.is_some() && !args.keep_going {
            break;
        }
    }
    println!("{}", sums.line(begun.elapsed()));
    match sums.breaches {
        0 => Ok(()),
        count => bail!("{count} of {} rounds broke a rule", sums.rounds),
    }
}

fn line(outcome: &Outcome, took: Duration) -> String {
    let moves = &outcome.moves;
    format!(
        "seed {:>4}: {} in {:.0} s: {} moves (worst {:.1} s), {} by drains, {} old copies (worst \
         {:.1} s), {} wishes, rest after {:.1} s; {}",
        outcome.plan.seed,
        if outcome.breach.is_some() { "BREACH" } else { "well" },
        took.as_secs_f64(),
        moves.after_faults.len(),
        seconds(moves.after_faults.iter().max().copied()),
        moves.drained,
        moves.stale.len(),
        seconds(moves.stale.iter().max().copied()),
        outcome.done,
        outcome.rest.as_secs_f64(),
        outcome.plan,
    )
}

fn keep(args: &Args, outcome: &Outcome) -> Result<()> {
    let Some(folder) = &args.keep else { return Ok(()) };
    std::fs::create_dir_all(folder)?;
    let name = |what: &str| folder.join(format!("{}.{what}", outcome.plan.seed));
    std::fs::write(name("history"), around(&outcome.history, 0, 0, u64::MAX))?;
    for (log, i) in outcome.logs.iter().zip(1..) {
        std::fs::write(name(&format!("manager-{i}.log")), log)?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // Some minutes.
fn seconds(millis: Option<u64>) -> f64 {
    millis.unwrap_or(0) as f64 / 1e3
}

/// What all rounds showed.
#[derive(Debug, Default)]
struct Sums {
    rounds: usize,
    breaches: usize,
    done: usize,
    drained: usize,
    moves: Vec<u64>,
    stale: Vec<u64>,
}

impl Sums {
    fn take(&mut self, outcome: &Outcome) {
        self.rounds += 1;
        self.breaches += usize::from(outcome.breach.is_some());
        self.done += outcome.done;
        self.drained += outcome.moves.drained;
        self.moves.extend(&outcome.moves.after_faults);
        self.stale.extend(&outcome.moves.stale);
    }

    fn line(&mut self, took: Duration) -> String {
        let told = |all: &mut Vec<u64>| {
            all.sort_unstable();
            let median = seconds(all.get(all.len() / 2).copied());
            format!(
                "{}, median {median:.1} s, worst {:.1} s",
                all.len(),
                seconds(all.last().copied())
            )
        };
        format!(
            "{} rounds in {:.0} s, {} breaches; moves after a fault: {}; moves by drains: {}; old \
             copies that ran until they were stopped, from the engine's return: {}; wishes: {}",
            self.rounds,
            took.as_secs_f64(),
            self.breaches,
            told(&mut self.moves),
            self.drained,
            told(&mut self.stale),
            self.done,
        )
    }
}
