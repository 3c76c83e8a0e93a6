//! Plays rounds, and tells how to play one again that broke a rule.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;
use swarm_sim::bug::Bug;
use swarm_sim::{round, services};

/// Simulates a pool whose engines, store and managers fail, and checks what its managers do; with
/// `--services` a swarm, its services and its nodes.
#[derive(Debug, Parser)]
struct Args {
    /// Plays this one round, and prints all that happens in it.
    #[arg(long)]
    seed: Option<u64>,
    /// How many rounds to play, from seed `--first` on.
    #[arg(long, default_value_t = 100, conflicts_with = "seed")]
    rounds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Has the managers make this mistake.
    #[arg(long)]
    bug: Option<Bug>,
    /// Simulates swarm mode.
    #[arg(long, conflicts_with = "bug")]
    services: bool,
    /// Has the managers of swarm mode make this mistake.
    #[arg(long, requires = "services")]
    services_bug: Option<services::bug::Bug>,
}

/// How a round ended, of either kind.
struct Ended {
    breach: Option<String>,
    /// Moves, or containers started.
    moves: usize,
    done: usize,
    trace: Vec<String>,
}

impl Args {
    fn play(&self, seed: u64, trace: bool) -> Ended {
        if self.services {
            let outcome = services::round::play(seed, self.services_bug, trace);
            return Ended {
                breach: outcome.breach.map(|breach| breach.to_string()),
                moves: usize::try_from(outcome.started).unwrap_or(usize::MAX),
                done: 0,
                trace: outcome.trace,
            };
        }
        let outcome = round::play(seed, self.bug, trace);
        Ended {
            breach: outcome.breach.map(|breach| breach.to_string()),
            moves: outcome.moves,
            done: outcome.done,
            trace: outcome.trace,
        }
    }

    /// What moves are called.
    fn unit(&self) -> &'static str {
        if self.services { "containers started" } else { "moves" }
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let Some(seed) = args.seed else { return many(&args) };
    let outcome = args.play(seed, true);
    for line in &outcome.trace {
        println!("{line}");
    }
    match outcome.breach {
        None => {
            println!("seed {seed}: no rule was broken ({} {})", outcome.moves, args.unit());
        }
        Some(breach) => bail!("seed {seed}: {breach}"),
    }
    Ok(())
}

/// Each round has one thread to itself; rounds share nothing.
fn many(args: &Args) -> Result<()> {
    let (begun, next) = (Instant::now(), AtomicU64::new(args.first));
    let (moves, done, failed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let end = args.first.saturating_add(args.rounds);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let outcome = args.play(seed, false);
                    moves.fetch_add(outcome.moves, Ordering::Relaxed);
                    done.fetch_add(outcome.done, Ordering::Relaxed);
                    if let Some(breach) = outcome.breach {
                        failed.fetch_add(1, Ordering::Relaxed);
                        let kind = if args.services { " --services" } else { "" };
                        println!("{breach}\n    cargo run -p swarm-sim --{kind} --seed {seed}");
                    }
                }
            });
        }
    });
    let wishes = match done.into_inner() {
        _ if args.services => String::new(),
        done => format!(", {done} wishes fulfilled"),
    };
    println!(
        "{} rounds in {:.1} s: {} {}{wishes}",
        args.rounds,
        begun.elapsed().as_secs_f64(),
        moves.into_inner(),
        args.unit(),
    );
    match failed.into_inner() {
        0 => Ok(()),
        count => bail!("{count} of {} rounds broke a rule", args.rounds),
    }
}
