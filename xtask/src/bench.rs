//! `cargo xtask bench`: the benchmark, built as it ships.

use anyhow::Result;

use crate::cargo::{cargo, show};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    let mut command = cargo(&["run", "--release", "--package", "swarm-bench", "--"]);
    command.args(&args.arguments);
    show(command)
}
