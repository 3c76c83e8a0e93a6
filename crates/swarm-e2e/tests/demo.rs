//! `cargo xtask demo`, as somebody runs it who has just cloned the repository: what it shows, and that it leaves
//! nothing behind.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{name, swarm, xtask};

/// Runs the demo to its end; what it printed.
fn shown(flags: &[&str]) -> Result<String> {
    let lab = name();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("no workspace")?;
    let mut demo = xtask();
    demo.args(["demo", "--once", "--name", &lab]).args(flags).current_dir(root);
    let output = demo.env("SWARM_BIN", swarm()?).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let mut xtask = xtask();
    let left = xtask.args(["lab", "--name", &lab, "ls"]).current_dir(root).output()?;
    ensure!(!String::from_utf8_lossy(&left.stdout).contains(&lab), "the lab is gone: {left:?}");
    Ok(said)
}

fn has(said: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(said.contains(word), "{word:?} is not shown:\n{said}");
    }
    Ok(())
}

#[test]
fn a_pool_is_shown() -> Result<()> {
    has(
        &shown(&[])?,
        &["spreads them over the hosts", "storage==tape", "no suitable node", "web-2"],
    )
}

#[test]
fn a_swarm_loses_its_leader_before_everybody_s_eyes() -> Result<()> {
    has(&shown(&["--swarm"])?, &["Leader", "demo_web.4", "another manager leads", "Down"])
}
