//! `cargo xtask screenshots`: pictures of the page for the documentation, of a pool of simulated
//! engines in a real browser.

use std::path::PathBuf;

use anyhow::Result;

use crate::cargo::{cargo, root, show};
use crate::setup;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to [default: docs/images]
    folder: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    setup::browser()?;
    let folder = args.folder.clone().unwrap_or_else(|| root().join("docs/images"));
    std::fs::create_dir_all(&folder)?;
    let mut command = cargo(&["run", "--package", "swarm-e2e", "--bin", "screenshots", "--"]);
    command.arg(folder);
    show(command)
}
