//! `cargo xtask bench`: the benchmarks, built as they ship. Pool mode's is a program of its own
//! (`swarm-bench`); swarm mode's (`--swarm`) needs real engines, and is here.

mod swarm;

use anyhow::Result;
use clap::Parser as _;

use crate::cargo::{cargo, show};
use crate::setup;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// `--swarm` first: swarm mode against Docker's own, on real engines (`--swarm --help`); `page` first: the page at
    /// full size in a real browser (`page --help`)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    if args.arguments.first().is_some_and(|first| first == "--swarm") {
        return swarm::run(&swarm::Options::parse_from(&args.arguments));
    }
    if args.arguments.first().is_some_and(|first| first == "page") {
        setup::browser()?;
    }
    let mut command = cargo(&["run", "--release", "--package", "swarm-bench", "--"]);
    command.args(&args.arguments);
    show(command)
}
