//! A few rounds of faults on real engines; `cargo xtask torture` plays more and longer ones.

use std::time::Duration;

use anyhow::{Result, ensure};
use swarm_e2e::torture::{Outcome, around, lab, play};

/// How long things go wrong: enough for an engine to fail, and for its containers to move.
const STORM: Duration = Duration::from_secs(11);
/// Rounds in which engines fail for long enough, beside managers that fail.
const SEEDS: [u64; 3] = [3, 5, 6];

#[test]
fn rounds_of_faults_break_no_rule() -> Result<()> {
    let lab = lab()?;
    let (mut moves, mut done) = (0, 0);
    for seed in SEEDS {
        let Outcome { plan, breach, moves: moved, done: told, history, .. } =
            play(&lab, seed, STORM)?;
        println!("seed {seed}: {moved:?}, {told} wishes; {plan}");
        if let Some(breach) = breach {
            let history = around(&history, breach.at, u64::MAX, u64::MAX);
            anyhow::bail!("{breach}\n{history}");
        }
        (moves, done) = (moves + moved.after_faults.len(), done + told);
    }
    ensure!(moves > 0 && done > 10, "{moves} moves and {done} wishes show too little");
    Ok(())
}
