//! `cargo xtask tidy`: the house rules that a machine can check.
//!
//! `layers` reads who depends on whom, `files` reads every file, `links` and `told` the documentation.
//! Invariant: every breach is reported, each with its place and the rule, before the command fails.

mod files;
mod layers;
mod links;
mod told;

use anyhow::{Result, bail};

use crate::cargo;

pub fn run() -> Result<()> {
    let mut breaches = layers::check(&cargo::metadata()?);
    breaches.extend(files::check(&cargo::root())?);
    breaches.extend(links::check(&cargo::root())?);
    breaches.extend(told::check(&cargo::root())?);
    for breach in &breaches {
        eprintln!("{breach}");
    }
    if !breaches.is_empty() {
        bail!("tidy: {} breaches of the house rules", breaches.len());
    }
    println!(
        "tidy: layers, lengths, headers, leftovers and the documentation's words are in order"
    );
    Ok(())
}
