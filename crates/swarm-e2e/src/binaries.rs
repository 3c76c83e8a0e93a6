//! Finding what cargo built: the `swarm` binary under test, and the janitor beside this program.
//!
//! A test cannot ask cargo for another package's binary, so it is built once per test process
//! into the same target folder; `SWARM_BIN` names one that is built already.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow};
use swarm_testkit::lab::run;

/// The `swarm` binary, up to date.
pub fn swarm() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow!("{error}"))
}

fn build() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("SWARM_BIN") {
        return Ok(binary.into());
    }
    let profile = profile_folder()?;
    let target = profile.parent().context("no target folder")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--package", "swarm", "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    run(cargo.current_dir(env!("CARGO_MANIFEST_DIR")))?;
    Ok(profile.join("swarm"))
}

/// The program that takes labs down after a test process that was killed.
pub fn janitor() -> Result<PathBuf> {
    Ok(profile_folder()?.join("lab-janitor"))
}

/// `target/debug`: test programs are in its `deps`.
fn profile_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("no folder")?;
    let folder = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    Ok(folder.context("no profile folder")?.to_owned())
}
