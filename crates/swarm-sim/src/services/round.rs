//! One round: a seed decides the cluster and all that happens to it; then all is mended, and after a
//! while of quiet the checkers look at what is left.

use super::bug::Bug;
use super::check::{self, Breach};
use super::cluster::{Cluster, Millis};
use super::{even, faults, scene};

/// How long things go wrong.
const STORM: Millis = 120_000;
/// How long the cluster has to come to rest: a back-off that a storm can lead to, and an update.
const REST: Millis = 120_000;
/// How long it must be silent then.
const SILENCE: Millis = 20_000;
/// How long moves may take that somebody asked for in the quiet: to stop one, to start one, and a delay.
const MOVES: Millis = 30_000;
/// So often services are evened out at most, a few moves at a time: each move makes the spread better.
const ROUNDS: u32 = 20;

/// How a round ended.
#[derive(Debug)]
pub struct Outcome {
    /// What broke a rule.
    pub breach: Option<Breach>,
    /// How many containers were started.
    pub started: u64,
    /// How many tasks were to be moved.
    pub moved: u64,
    /// What happened, where it was asked for.
    pub trace: Vec<String>,
}

/// Plays a round.
pub fn play(seed: u64, bug: Option<Bug>, trace: bool) -> Outcome {
    let mut cluster = Cluster::new(seed, bug, trace);
    let breach = through(&mut cluster).err();
    let (started, moved) = (cluster.checks.started, cluster.checks.moved);
    Outcome { breach, started, moved, trace: cluster.trace.unwrap_or_default() }
}

fn through(cluster: &mut Cluster) -> Result<(), Breach> {
    scene::set(cluster);
    while cluster.now < STORM {
        faults::strike(cluster)?;
        cluster.tick()?;
    }
    faults::mend(cluster);
    while cluster.now < STORM + REST {
        cluster.tick()?;
    }
    check::converged::look(cluster)?;
    for _ in 0..ROUNDS {
        let some = 1 + cluster.below(3);
        if even::ask(cluster, some)? == 0 {
            break;
        }
        let until = cluster.now + MOVES;
        while cluster.now < until {
            cluster.tick()?;
        }
        check::converged::look(cluster)?;
    }
    even::is_even(cluster)?;
    let (writes, until) = (cluster.store.writes, cluster.now + SILENCE);
    while cluster.now < until {
        cluster.tick()?;
        check::silence::look(cluster, writes)?;
    }
    Ok(())
}
