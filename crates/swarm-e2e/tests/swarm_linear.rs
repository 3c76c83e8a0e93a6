//! Answers of three managers that are killed, frozen and cut off are those of one that never fails.
//!
//! `SWARM_LINEAR_SEED` and `SWARM_LINEAR_SECONDS` make it another, or longer; so does `cargo xtask
//! torture --swarm`.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{Daemons, exclusive, linear};

/// Some five to eight faults.
const SECONDS: u64 = 25;

#[test]
fn answers_can_be_put_in_one_order() -> Result<()> {
    let seed = setting("SWARM_LINEAR_SEED", std::process::id().into())?;
    let seconds = setting("SWARM_LINEAR_SECONDS", SECONDS)?;
    println!("SWARM_LINEAR_SEED={seed} SWARM_LINEAR_SECONDS={seconds}");
    let lab = exclusive()?;
    let mut nodes = Daemons::swarm(&lab, &[1, 2, 3], 3)?;
    let judged = linear::play(&mut nodes, seed, Duration::from_secs(seconds))
        .with_context(|| format!("seed {seed}"))?;
    println!("{judged:#?}");
    ensure!(judged.faults.len() >= 2, "too few faults to show anything");
    ensure!(judged.written >= 50, "{} writes show too little", judged.written);
    ensure!(judged.excused * 2 < judged.calls, "most of the reads were left out");
    Ok(())
}

fn setting(name: &str, default: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => u64::from_str(&text).with_context(|| format!("{name}={text}: not a number")),
        Err(_) => Ok(default),
    }
}
