//! `cargo xtask screenshots`: pictures of the page for the documentation, in a real browser: of a pool of
//! simulated engines, or of a swarm of three real ones (as root).

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::cargo::{cargo, root, show};
use crate::setup;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The swarm's, and not the pool's
    #[arg(long)]
    swarm: bool,
    /// Where to [default: docs/images]
    folder: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    setup::browser()?;
    let folder = args.folder.clone().unwrap_or_else(|| root().join("docs/images"));
    std::fs::create_dir_all(&folder)?;
    let name = if args.swarm { "swarm-screenshot" } else { "screenshots" };
    if args.swarm {
        setup::base()?;
        // What takes its lab down, however it ends.
        show(cargo(&["build", "--package", "swarm-e2e", "--bin", "lab-janitor"]))?;
    }
    // A test names the one that was built beside it.
    let mut command = match std::env::var_os("SCREENSHOTS_BIN") {
        Some(built) => Command::new(built),
        None => cargo(&["run", "--package", "swarm-e2e", "--bin", name, "--"]),
    };
    command.arg(folder);
    show(command)
}
