//! `cargo xtask coverage`: docs/api-coverage.md, rendered from the route table that serves.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::cargo::root;

const PAGE: &str = "docs/api-coverage.md";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write nothing; fail if the page is not what the route table says
    #[arg(long)]
    check: bool,
}

impl Args {
    /// As `--check`.
    pub fn check() -> Self {
        Self { check: true }
    }
}

pub fn run(args: &Args) -> Result<()> {
    let (page, true_text) = (root().join(PAGE), swarm_api::coverage_markdown());
    if !args.check {
        fs::write(&page, true_text).with_context(|| page.display().to_string())?;
        println!("wrote {PAGE}");
        return Ok(());
    }
    let text = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    if text != true_text {
        bail!("{PAGE} is not what the route table says; `cargo xtask coverage` writes it");
    }
    println!("coverage: {PAGE} is what the route table says");
    Ok(())
}
