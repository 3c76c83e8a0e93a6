//! `cargo xtask`: the development commands. Each file is one command; shared by them are `cargo`
//! (running it), `progress` (saying what is being done) and `signals` (Ctrl-C).

mod bench;
mod bullseye;
mod cargo;
mod coverage;
mod demo;
mod deny;
mod dist;
mod lab;
mod openssh;
mod pages;
mod progress;
mod prometheus;
mod screenshots;
mod setup;
mod sid;
mod signals;
mod site;
mod suite;
mod test;
mod tidy;
mod torture;
mod upgrade;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The development commands of swarm.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start three real Docker hosts and a pool manager over them, and show what it does
    Demo(demo::Args),
    /// Run every check and test there is; ends with the number of tests passed and failed
    Test(test::Args),
    /// Install what the lab and the tests need (Debian packages, by name); needs root
    Setup,
    /// Several real Docker hosts on this machine
    Lab(lab::Args),
    /// Check the house rules: layers, file lengths, headers, leftovers
    Tidy,
    /// Check dependencies' licences, advisories and sources with cargo-deny
    Deny,
    /// Write docs/api-coverage.md from the route table
    Coverage(coverage::Args),
    /// Write the pictures of the page that the documentation shows
    Screenshots(screenshots::Args),
    /// Make a site of the documentation, with navigation and search
    Site(site::Args),
    /// Run the benchmark; everything after it is the benchmark's own
    Bench(bench::Args),
    /// Make what a release is made of: a static binary, packages, checksums
    Dist(dist::Args),
    /// Kill, cut and pause the parts of pools on real engines, and check all that happens
    Torture(torture::Args),
    /// Run this version beside an older one, in a pool and in a swarm
    Upgrade(upgrade::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Setup => setup::everything(),
        Command::Lab(args) => lab::run(&args),
        Command::Tidy => tidy::run(),
        Command::Deny => deny::run(),
        Command::Coverage(args) => coverage::run(&args),
        Command::Screenshots(args) => screenshots::run(&args),
        Command::Site(args) => site::run(&args),
        Command::Dist(args) => dist::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Torture(args) => torture::run(&args),
        Command::Upgrade(args) => upgrade::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
