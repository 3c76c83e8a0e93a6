//! `cargo xtask deny`: licences, sources and advisories of all dependencies (deny.toml).
//!
//! Advisories come from a database on the network. Without it they are told to be unchecked,
//! while the rest, which needs no network, decides.

use anyhow::{Result, bail};

use crate::cargo::{cargo, has, show};

/// What cargo-deny says when it has no database at hand.
const UNREACHABLE: &str = "failed to fetch advisory database";

/// Is cargo-deny installed?
pub fn available() -> bool {
    has("deny")
}

pub fn run() -> Result<()> {
    if !available() {
        bail!("cargo-deny is not installed; `cargo install --locked cargo-deny`");
    }
    show(cargo(&["deny", "--workspace", "check", "bans", "licenses", "sources"]))?;
    let output = cargo(&["deny", "--workspace", "check", "advisories"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        println!("advisories ok");
        return Ok(());
    }
    if said.contains(UNREACHABLE) {
        println!("advisories NOT checked: their database cannot be reached");
        return Ok(());
    }
    bail!("advisories:\n{said}");
}
