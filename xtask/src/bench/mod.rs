//! `cargo xtask bench`: the benchmarks, built as they ship. Pool mode's is a program of its own
//! (`swarm-bench`); swarm mode's (`--swarm`) needs real engines, and is here; what is around both (`--install`,
//! `--proxy`) is a program beside the end-to-end tests, with whose means it works.

mod swarm;

use anyhow::Result;
use clap::Parser as _;

use crate::cargo::{cargo, show, swarm as binary};
use crate::setup;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// `--swarm` first: swarm mode against Docker's own, on real engines (`--swarm --help`); `--install` first: `swarm
    /// up` and `swarm down`; `--proxy` first: nginx and HAProxy behind `swarm proxy`; `page` first: the page at full size
    /// in a real browser (`page --help`)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    if args.arguments.first().is_some_and(|first| first == "--swarm") {
        return swarm::run(&swarm::Options::parse_from(&args.arguments));
    }
    for (flag, part) in [("--install", "install"), ("--proxy", "proxy")] {
        if args.arguments.first().is_some_and(|first| first == flag) {
            return around(part, &args.arguments[1..]);
        }
    }
    if args.arguments.first().is_some_and(|first| first == "page") {
        setup::browser()?;
    }
    let mut command = cargo(&["run", "--release", "--package", "swarm-bench", "--"]);
    command.args(&args.arguments);
    show(command)
}

/// Figures of what is around pools and swarms, with the binary as it ships.
fn around(part: &str, arguments: &[String]) -> Result<()> {
    setup::base()?;
    let built = binary(true)?;
    // It starts the janitor too, which a build of one program leaves out.
    show(cargo(&["build", "--quiet", "--package", "swarm-e2e", "--bins"]))?;
    let mut figures =
        cargo(&["run", "--quiet", "--package", "swarm-e2e", "--bin", "figures", "--"]);
    figures.arg(part).args(arguments).env("SWARM_BIN", built);
    show(figures)
}
