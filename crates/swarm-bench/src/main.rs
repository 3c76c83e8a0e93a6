//! The benchmark: a fleet of simulated engines in one process, the real manager in
//! another, and this one driving it and measuring from outside.
//!
//! Without a subcommand it runs the scenarios and prints the table of docs/benchmarks.md.
//! `swarm-bench fleet` is the fleet's own process; it also serves anyone who wants a
//! thousand engines to play with. `swarm-bench page` measures the page in a browser, and `swarm-bench swarm` is a
//! swarm of any size for it. It judges figures and is never part of the tests:
//! a shared machine would fail them at random.

mod cli;
mod driver;
mod filled;
mod fleet_child;
mod fleet_host;
mod limits;
mod machine;
mod manager;
mod page;
mod procfs;
mod quantile;
mod report;
mod scenario;

use anyhow::Result;
use clap::Parser as _;

use crate::cli::{Cli, Command};

fn main() -> Result<()> {
    let cli = Cli::parse();
    limits::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        Some(Command::Fleet(shape)) => runtime.block_on(fleet_host::serve(&shape)),
        Some(Command::Swarm(shape)) => runtime.block_on(filled::serve(&shape)),
        Some(Command::Page(options)) => runtime.block_on(page::run(&options)),
        None => runtime.block_on(scenario::run(&cli.options)),
    }
}
