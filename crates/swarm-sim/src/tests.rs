//! The pool keeps its rules, and the checkers notice when it does not, each for its own reason.

use crate::bug::Bug;
use crate::round;

/// Rounds in the test of the rules.
const ROUNDS: u64 = 300;

#[test]
fn no_round_breaks_a_rule() {
    let (mut moves, mut done) = (0, 0);
    for seed in 0..ROUNDS {
        let outcome = round::play(seed, None, false);
        (moves, done) = (moves + outcome.moves, done + outcome.done);
        if let Some(breach) = outcome.breach {
            panic!("{breach}\n    cargo run -p swarm-sim -- --seed {seed}");
        }
    }
    assert!(moves > 300 && done > 3_000, "{moves} moves and {done} wishes show too little");
}

#[test]
fn a_seed_is_one_history() {
    let trace = || round::play(7, None, true).trace;
    assert_eq!(trace(), trace());
}

#[test]
fn every_planted_mistake_is_noticed() {
    let equal = "the store equals the world";
    let (silent, kept) = ("converged means silent", "promises are kept");
    let two = "no two copies run";
    let rules = |bug| match bug {
        Bug::SkipGrace => vec!["patience"],
        Bug::ActAfterFence => vec!["no change outside of the fence"],
        Bug::CreateUnannounced | Bug::NeverAudit => vec![equal],
        Bug::IgnoreGeneration | Bug::ForgetStale | Bug::ForgetRemoved => vec![equal, silent, two],
        Bug::WriteUnguarded => vec!["generations only rise", equal, kept],
        Bug::ReuseGeneration => vec!["one create a generation"],
        Bug::AckBeforeWrite | Bug::TrustOldReading => vec![kept, equal],
        Bug::StartBesideOld => vec!["no start beside a copy that runs"],
    };
    for bug in Bug::ALL {
        let noticed = (0..1_000).find_map(|seed| round::play(seed, Some(bug), false).breach);
        let Some(breach) = noticed else { panic!("nobody notices {bug:?}") };
        assert!(
            rules(bug).contains(&breach.rule),
            "{bug:?} is noticed for another reason: {breach}"
        );
    }
}
