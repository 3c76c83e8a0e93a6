//! `cargo xtask test`: every check and test there is, in one command.
//!
//! Each step runs whatever the others did; the summary tells what ran, how long it took and how
//! it ended. Invariants: what is missing is a failure, never a silent skip; the last line's
//! numbers are the test programs' own.

mod count;
mod lanes;
mod report;
mod why;

use std::process::Command;

use anyhow::Result;

use self::count::{Count, counted};
use self::report::Report;
use crate::cargo::{cargo, has, show};
use crate::{coverage, deny, prometheus, setup, tidy};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave out the end-to-end tests (no root, no engines)
    #[arg(long)]
    no_e2e: bool,
    /// Run only the end-to-end tests
    #[arg(long, conflicts_with = "no_e2e")]
    e2e: bool,
    /// Only tests whose name contains this
    filter: Option<String>,
}

pub fn run(args: &Args) -> Result<()> {
    let mut report = Report::default();
    if !args.e2e {
        report.step("format", || show(cargo(&["fmt", "--all", "--check"])).map(none));
        report.step("clippy, warnings are errors", || show(clippy()).map(none));
        report.step("tidy", || tidy::run().map(none));
        report.step("API coverage page", || coverage::run(&coverage::Args::check()).map(none));
        if deny::available() {
            report.step("cargo deny", || deny::run().map(none));
        } else {
            report.note("cargo deny: NOT run, cargo-deny is not installed");
        }
        let filter = args.filter.as_deref();
        report.step("servers for the stores' tests", || setup::stores().map(none));
        report.step("checker for the alerts' tests", || prometheus::fetch().map(none));
        report.step("unit and property tests", || counted(unit(filter)));
        report.step("documentation tests", || counted(documentation(filter)));
    }
    if args.no_e2e {
        report.note("end-to-end tests: NOT run, as asked");
    } else {
        report.step("end-to-end set-up", || setup::everything().map(none));
        report.step("end-to-end tests on real engines", || lanes::run(args.filter.as_deref()));
    }
    report.end()
}

fn clippy() -> Command {
    cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])
}

/// cargo-nextest where it is installed, because it runs crates' tests side by side: as many as there are
/// processors, and twice as many of those that mostly wait for stores (`.config/nextest.toml`). The
/// end-to-end tests are built with them, so that cargo chooses the same features for all.
fn unit(filter: Option<&str>) -> Command {
    if has("nextest") {
        let turns = std::thread::available_parallelism().map_or(2, |count| 2 * count.get());
        let turns = format!("--test-threads={turns}");
        let mut command = cargo(&["nextest", "run", "--workspace", "--no-fail-fast", &turns]);
        command.args(["--no-tests=pass", "--status-level=fail", "-E", "not package(swarm-e2e)"]);
        command.args(filter);
        return command;
    }
    let mut command = cargo(&["test", "--all-targets", "--no-fail-fast"]);
    command.args(["--workspace", "--exclude", "swarm-e2e"]).args(filter);
    command
}

fn documentation(filter: Option<&str>) -> Command {
    let mut command = cargo(&["test", "--doc", "--workspace"]);
    command.args(filter);
    command
}

fn none((): ()) -> Count {
    Count::default()
}
