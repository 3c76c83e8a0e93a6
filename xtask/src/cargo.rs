//! Running cargo for this workspace, and finding what it built.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The workspace's root folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// `cargo …` in the workspace's root.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    for (name, _) in std::env::vars_os() {
        // What `cargo run` told this very process about itself is not for others.
        let own = name.to_string_lossy();
        if own.starts_with("CARGO_PKG_") || own.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Is that cargo subcommand installed?
pub fn has(subcommand: &str) -> bool {
    cargo(&[subcommand, "--version"]).output().is_ok_and(|output| output.status.success())
}

/// Runs a command whose output the person should see.
pub fn show(mut command: Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{} ended with {status}", command.get_program().to_string_lossy());
    }
    Ok(())
}

/// What `cargo metadata` says of the workspace's own packages.
pub fn metadata() -> Result<serde_json::Value> {
    let output = cargo(&["metadata", "--format-version=1", "--no-deps"]).output()?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Builds the `swarm` binary and returns its path; `SWARM_BIN` names one that is built already.
pub fn swarm(release: bool) -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("SWARM_BIN") {
        return Ok(binary.into());
    }
    let mut command = cargo(&["build", "--package", "swarm"]);
    if release {
        command.arg("--release");
    }
    show(command)?;
    let metadata = metadata()?;
    let target = metadata["target_directory"].as_str().context("no target directory")?;
    let profile = if release { "release" } else { "debug" };
    Ok(Path::new(target).join(profile).join("swarm"))
}
