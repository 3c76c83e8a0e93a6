//! The cluster keeps its rules, and the checkers notice when it does not, each for its own reason.

use super::bug::Bug;
use super::round;

/// Rounds in the test of the rules.
const ROUNDS: u64 = 60;

#[test]
fn no_round_breaks_a_rule() {
    let (mut started, mut moved) = (0, 0);
    for seed in 0..ROUNDS {
        let outcome = round::play(seed, None, false);
        started += outcome.started;
        moved += outcome.moved;
        if let Some(breach) = outcome.breach {
            panic!("{breach}\n    cargo run -p swarm-sim -- --services --seed {seed}");
        }
    }
    assert!(started > 50 * ROUNDS, "{started} containers show too little");
    assert!(moved > 2 * ROUNDS, "{moved} moves show too little");
}

#[test]
fn a_seed_is_one_history() {
    let trace = || round::play(7, None, true).trace;
    assert_eq!(trace(), trace());
}

#[test]
fn every_planted_mistake_is_noticed() {
    let rules: [(Bug, &[&str]); 7] = [
        (Bug::SpeakForNode, &["states only rise and by their owner"]),
        (Bug::FreeTooEarly, &["no overbooking", "unique host ports"]),
        (Bug::StartAtOnce, &["no two in a slot"]),
        (Bug::UpdateAll, &["parallelism is kept"]),
        (Bug::NeverDown, &["replicas converge"]),
        (Bug::NeverWake, &["replicas converge"]),
        (Bug::Restless, &["converged means silent"]),
    ];
    assert_eq!(rules.map(|(bug, _)| bug), Bug::ALL);
    for (bug, rules) in rules {
        let noticed = (0..300).find_map(|seed| round::play(seed, Some(bug), false).breach);
        let Some(breach) = noticed else { panic!("nobody notices {bug:?}") };
        assert!(rules.contains(&breach.rule), "{bug:?} is noticed for another reason: {breach}");
    }
}
