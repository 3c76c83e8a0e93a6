//! `cargo xtask tidy`: the house rules that a machine can check.
//!
//! `layers` reads who depends on whom, `files` reads every file. Invariant: every breach is
//! reported, each with its place and the rule, before the command fails.

mod files;
mod layers;

use anyhow::{Result, bail};

use crate::cargo;

pub fn run() -> Result<()> {
    let mut breaches = layers::check(&cargo::metadata()?);
    breaches.extend(files::check(&cargo::root())?);
    for breach in &breaches {
        eprintln!("{breach}");
    }
    if !breaches.is_empty() {
        bail!("tidy: {} breaches of the house rules", breaches.len());
    }
    println!("tidy: layers, lengths, headers and leftovers are in order");
    Ok(())
}
