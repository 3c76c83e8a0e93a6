//! What goes wrong in a round, and when: chosen by a seed and nothing else.
//!
//! Leaves to `faults` how it is done, and which manager is the primary then.

use std::fmt;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::history::Millis;

/// Engines of a round: the lab's hosts 1 to this.
pub const ENGINES: u8 = 3;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An engine's host loses power: silence, and nothing runs any more.
    PowerCut(u8),
    /// An engine's host dies while its cable stays: peers see connections end.
    Crash(u8),
    /// No manager reaches an engine, and its containers run on.
    CutNode(u8),
    /// Only the primary does not reach an engine.
    CutFromPrimary(u8),
    /// A person takes an engine out of use; its containers stay.
    Cordon(u8),
    /// A person has an engine's containers moved.
    Drain(u8),
    /// The primary is killed.
    KillPrimary,
    /// The primary is asked to end.
    StopPrimary,
    /// The primary is stopped in its tracks, and goes on later.
    PausePrimary,
    /// The primary reaches the engines, and no other manager: it has no quorum.
    IsolatePrimary,
    /// All managers are killed, and with them the store is away.
    KillAll,
}

impl Fault {
    /// The engine that it is about.
    pub fn engine(self) -> Option<u8> {
        match self {
            Self::PowerCut(i)
            | Self::Crash(i)
            | Self::CutNode(i)
            | Self::CutFromPrimary(i)
            | Self::Cordon(i)
            | Self::Drain(i) => Some(i),
            _ => None,
        }
    }
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When it begins.
    pub at: Millis,
    /// For how long it lasts.
    pub last: Millis,
    /// What it is.
    pub fault: Fault,
    /// The manager to take where none says that it is the primary.
    pub instead: usize,
}

/// A client's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The part of its name that stays.
    pub slot: String,
    /// Whether it may move when its engine fails.
    pub moves: bool,
    /// Whether it has a volume, which the policy does not let go.
    pub volume: bool,
    /// Its restart policy.
    pub restart: &'static str,
}

impl Wish {
    /// Whether it stays with its engine when that fails.
    pub fn stays(&self) -> bool {
        !self.moves || self.volume
    }
}

/// A round's choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// How long things go wrong.
    pub storm: Millis,
    /// What goes wrong, in order of time.
    pub steps: Vec<Step>,
    /// What clients care for.
    pub wishes: Vec<Wish>,
}

impl Plan {
    /// The choices of `seed`, for a storm of that length.
    pub fn of(seed: u64, storm: Millis) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut steps = engines(&mut rng, storm);
        steps.extend(managers(&mut rng, storm));
        steps.sort_by_key(|step| step.at);
        let wishes = (0..5).map(|i| wish(&mut rng, i)).collect();
        Self { seed, storm, steps, wishes }
    }
}

/// The first container moves and the second one stays, so that no round lacks either.
fn wish(rng: &mut StdRng, i: usize) -> Wish {
    let moves = i == 0 || i > 1 && rng.random_bool(0.8);
    let volume = i > 1 && rng.random_bool(0.15);
    let restart = match rng.random_range(0..5) {
        0 => "no",
        1 => "unless-stopped",
        _ => "always",
    };
    Wish { slot: format!("s{i}"), moves, volume, restart }
}

/// Faults of engines; one engine has one at a time, and mostly one of them is left in peace.
fn engines(rng: &mut StdRng, storm: Millis) -> Vec<Step> {
    let mut free = [0; ENGINES as usize];
    let (mut at, mut steps) = (rng.random_range(1_500..4_000), Vec::new());
    while at < storm {
        let i = rng.random_range(1..=ENGINES);
        let fault = match rng.random_range(0..12) {
            0..4 => Fault::PowerCut(i),
            4..6 => Fault::Crash(i),
            6..9 => Fault::CutNode(i),
            9 => Fault::CutFromPrimary(i),
            10 => Fault::Cordon(i),
            _ => Fault::Drain(i),
        };
        // Shorter and longer than what it takes to move.
        let longest = if rng.random_bool(0.8) { 16_000 } else { 4_000 };
        let last = rng.random_range(1_000..longest);
        let busy = free.iter().filter(|free| **free > at).count();
        let own = &mut free[usize::from(i - 1)];
        if *own <= at && (busy + 1 < usize::from(ENGINES) || rng.random_bool(0.2)) {
            *own = at + last + 2_000;
            steps.push(step(rng, at, last, fault));
        }
        at += rng.random_range(1_000..6_000);
    }
    steps
}

/// Faults of managers, which may overlap; in some rounds there are few, so that much is moved.
fn managers(rng: &mut StdRng, storm: Millis) -> Vec<Step> {
    let gaps = if rng.random_bool(0.4) { 12_000..25_000 } else { 4_000..12_000 };
    let (mut at, mut steps) = (rng.random_range(2_000..9_000), Vec::new());
    while at < storm {
        let (fault, longest) = match rng.random_range(0..12) {
            0..3 => (Fault::KillPrimary, 8_000),
            3..5 => (Fault::StopPrimary, 8_000),
            5..8 => (Fault::PausePrimary, 12_000),
            8..11 => (Fault::IsolatePrimary, 12_000),
            _ => (Fault::KillAll, 4_000),
        };
        let last = rng.random_range(500..longest);
        steps.push(step(rng, at, last, fault));
        at += rng.random_range(gaps.clone());
    }
    steps
}

fn step(rng: &mut StdRng, at: Millis, last: Millis, fault: Fault) -> Step {
    Step { at, last, fault, instead: rng.random_range(0..3) }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.steps.iter().map(|step| {
            #[allow(clippy::cast_precision_loss)] // Some seconds.
            let seconds = |millis: Millis| millis as f64 / 1e3;
            format!("{:.1}+{:.1} {:?}", seconds(step.at), seconds(step.last), step.fault)
        });
        write!(f, "{}", words.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_choice_and_all_faults_are_chosen_some_time() {
        assert_eq!(Plan::of(7, 30_000), Plan::of(7, 30_000));
        assert_ne!(Plan::of(7, 30_000).steps, Plan::of(8, 30_000).steps);
        let all: Vec<Step> = (0..100).flat_map(|seed| Plan::of(seed, 30_000).steps).collect();
        let kinds: std::collections::BTreeSet<String> = all
            .iter()
            .map(|step| format!("{:?}", step.fault))
            .map(|words| words.split('(').next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(kinds.len(), 11, "{kinds:?}");
    }

    #[test]
    fn one_engine_has_one_fault_at_a_time_and_steps_are_in_order() {
        for seed in 0..200 {
            let steps = Plan::of(seed, 60_000).steps;
            assert!(steps.is_sorted_by_key(|step| step.at));
            for engine in 1..=ENGINES {
                let of = |step: &&Step| step.fault.engine() == Some(engine);
                let own: Vec<&Step> = steps.iter().filter(of).collect();
                assert!(own.windows(2).all(|two| two[0].at + two[0].last < two[1].at));
            }
        }
    }
}
