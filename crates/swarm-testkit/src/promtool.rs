//! Prometheus's own checker, for tests of alerts and dashboards: it reads rules, and runs them over
//! series that a test makes up.
//!
//! `cargo xtask setup` fetches the program.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Where the unpacked package belongs: `SWARM_PROMETHEUS`, or `target/engines/prometheus`.
pub fn root() -> PathBuf {
    std::env::var_os("SWARM_PROMETHEUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/engines/prometheus"),
        PathBuf::from,
    )
}

/// The program, if it is there.
pub fn program() -> Result<PathBuf> {
    let program = root().join("usr/bin/promtool");
    if !program.exists() {
        bail!("no {}; `cargo xtask setup` fetches it", program.display());
    }
    Ok(program.canonicalize()?)
}

/// Runs it; what it says against its input is the error's text.
pub fn run(arguments: &[&str]) -> Result<String> {
    let program = program()?;
    let output = Command::new(&program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if !output.status.success() {
        bail!("promtool {}: {}\n{said}", arguments.join(" "), output.status);
    }
    Ok(said)
}
