//! `cargo xtask test`: every check and test there is, in one command.
//!
//! Each step runs whatever the others did; the summary tells what ran, how long it took and how
//! it ended. Invariants: what is missing is a failure, never a silent skip; the last line's
//! numbers are the test programs' own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::cargo::{cargo, has, show};
use crate::progress::time;
use crate::{cargo as workspace, coverage, deny, prometheus, setup, tidy};

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

/// How many tests passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

struct Line {
    what: &'static str,
    took: Duration,
    outcome: Result<Count>,
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
        report.step("end-to-end tests on real engines", || {
            let swarm = workspace::swarm(false)?;
            let mut command = cargo(&["test", "--package", "swarm-e2e", "--no-fail-fast"]);
            command.args(args.filter.as_deref()).env("SWARM_BIN", swarm);
            // An error's own words say where it failed.
            command.env("RUST_LIB_BACKTRACE", "0");
            counted(command)
        });
    }
    report.end()
}

fn clippy() -> Command {
    cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])
}

/// cargo-nextest where it is installed, because it runs crates' tests side by side.
fn unit(filter: Option<&str>) -> Command {
    let mut command = if has("nextest") {
        cargo(&["nextest", "run", "--no-fail-fast", "--no-tests=pass", "--status-level=fail"])
    } else {
        cargo(&["test", "--all-targets", "--no-fail-fast"])
    };
    command.args(["--workspace", "--exclude", "swarm-e2e"]).args(filter);
    command
}

fn documentation(filter: Option<&str>) -> Command {
    let mut command = cargo(&["test", "--doc", "--workspace", "--exclude", "swarm-e2e"]);
    command.args(filter);
    command
}

fn none((): ()) -> Count {
    Count::default()
}

/// Runs a test program, shows all it says, and adds up what it counted.
fn counted(mut command: Command) -> Result<Count> {
    // Both streams through one pipe, so that nothing is shown out of order.
    let (reader, writer) = std::io::pipe()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    drop(command); // It holds the writing ends.
    let mut count = Count::default();
    let mut out = std::io::stdout().lock();
    let mut lines = BufReader::new(reader);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        out.write_all(&line)?;
        out.flush()?;
        if let Some(more) = summary(&String::from_utf8_lossy(&line)) {
            count.passed += more.passed;
            count.failed += more.failed;
        }
        line.clear();
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{} passed, {} failed ({status})", count.passed, count.failed.max(1));
    }
    Ok(count)
}

/// The numbers in a summary line of libtest or nextest. Nextest shows a failed test's own output,
/// and with it libtest's line for that one test, indented: those it has counted itself.
fn summary(line: &str) -> Option<Count> {
    let at_the_margin = line.starts_with("test result: ");
    let line = line.trim();
    let ours = at_the_margin
        || (line.starts_with("Summary [") && line.contains("tests run:"))
        || (line.starts_with("Summary [") && line.contains("test run:"));
    if !ours {
        return None;
    }
    let number = |word: &str| {
        let words: Vec<_> =
            line.split([' ', ',', ';', '.']).filter(|word| !word.is_empty()).collect();
        let at = words.iter().position(|w| *w == word)?;
        words.get(at.checked_sub(1)?)?.parse().ok()
    };
    Some(Count {
        passed: number("passed").unwrap_or(0),
        failed: number("failed").unwrap_or(0) + number("timed").unwrap_or(0),
    })
}

#[derive(Default)]
struct Report {
    lines: Vec<Line>,
    notes: Vec<&'static str>,
    passed: u64,
    failed: u64,
}

impl Report {
    fn step(&mut self, what: &'static str, work: impl FnOnce() -> Result<Count>) {
        println!("\n── {what}");
        let start = Instant::now();
        let outcome = work();
        if let Err(error) = &outcome {
            println!("{what}: {error:#}");
        }
        self.lines.push(Line { what, took: start.elapsed(), outcome });
    }

    fn note(&mut self, note: &'static str) {
        println!("\n── {note}");
        self.notes.push(note);
    }

    /// A failed step counts as one failed test where it counted none itself.
    fn end(mut self) -> Result<()> {
        println!("\n── What ran");
        for line in &self.lines {
            let (mark, text) = match &line.outcome {
                Ok(count) if *count == Count::default() => ("✓", String::new()),
                Ok(count) => ("✓", format!("{} tests", count.passed)),
                Err(error) => ("✗", format!("{error:#}").lines().take(1).collect()),
            };
            println!("{mark} {:<36} {:>12}  {text}", line.what, time(line.took));
            match &line.outcome {
                Ok(count) => self.passed += count.passed,
                Err(error) => {
                    let told = summary(&format!("test result: {error:#}")).unwrap_or_default();
                    self.passed += told.passed;
                    self.failed += told.failed.max(1);
                }
            }
        }
        for note in &self.notes {
            println!("! {note}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed > 0 {
            bail!("not everything passed");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_summaries_are_read() {
        let libtest = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 1 filtered out; \
             finished in 0.05s";
        assert_eq!(summary(libtest), Some(Count { passed: 12, failed: 3 }));
        let nextest =
            "     Summary [   0.026s] 7 tests run: 6 passed (1 slow), 1 failed, 2 skipped";
        assert_eq!(summary(nextest), Some(Count { passed: 6, failed: 1 }));
        let one = "     Summary [   0.026s] 1 test run: 1 passed, 0 skipped";
        assert_eq!(summary(one), Some(Count { passed: 1, failed: 0 }));
        assert_eq!(summary("test a::b ... ok"), None);
        let shown = "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured;";
        assert_eq!(summary(shown), None, "what nextest shows of a failed test");
    }

    #[test]
    fn a_failing_program_is_an_error_with_its_numbers() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test result: FAILED. 2 passed; 1 failed;'; exit 101"]);
        let error = counted(command).unwrap_err().to_string();
        assert!(error.starts_with("2 passed, 1 failed"), "{error}");
    }
}
