//! `swarm completion`: the script that teaches a shell our commands and flags.

use std::io::{ErrorKind, Write};

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

/// Prints the script for `shell`, one that clap let through.
pub fn run(shell: &str) -> anyhow::Result<()> {
    let shell: Shell = shell.parse().map_err(anyhow::Error::msg)?;
    // Written in one piece at the end: `clap_complete` panics when its output is closed early.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "swarm", &mut script);
    match std::io::stdout().write_all(&script) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        _ => Ok(()),
    }
}
