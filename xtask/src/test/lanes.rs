//! The end-to-end test programs, two at once.
//!
//! Most of their time is waiting: for engines to boot, for silence to be noticed. Programs whose
//! tests bound such times run one after the other, in one lane; the others run beside them. Each
//! program has hosts of its own, so that only the processor is shared.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::count::{Count, counting};
use crate::cargo::{cargo, root};
use crate::progress::time;

/// Cut power, links and quorums, and say within which time what must be back; the longest first.
const TIMED: [&str; 8] =
    ["moves", "swarm_faults", "proxy", "stores", "torture", "failover", "faults", "swarm_linear"];

struct Program {
    name: String,
    path: PathBuf,
}

#[derive(Default)]
struct Queues {
    timed: VecDeque<Program>,
    others: VecDeque<Program>,
}

/// Runs those tests whose name contains `filter` with the binary `swarm`.
pub fn run(filter: Option<&str>, swarm: &Path) -> Result<Count> {
    let queues = Mutex::new(sorted(built()?));
    let total = Mutex::new(Count::default());
    let failed = Mutex::new(Vec::new());
    let lane = |bounded: bool| {
        while let Some(program) = next(&queues, bounded) {
            let (count, passed) = program.run(filter, swarm);
            total.lock().unwrap_or_else(PoisonError::into_inner).add(count);
            if !passed {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(program.name);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| lane(true));
        scope.spawn(|| lane(false));
    });
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !failed.is_empty() {
        bail!("{} passed, {} failed, in {}", total.passed, total.failed, failed.join(", "));
    }
    Ok(total)
}

/// The bounded lane helps with the others when it has done its own; never the other way round.
fn next(queues: &Mutex<Queues>, bounded: bool) -> Option<Program> {
    let mut queues = queues.lock().unwrap_or_else(PoisonError::into_inner);
    let own = if bounded { queues.timed.pop_front() } else { None };
    own.or_else(|| queues.others.pop_front())
}

fn sorted(programs: Vec<Program>) -> Queues {
    let rank = |program: &Program| TIMED.iter().position(|name| *name == program.name);
    let (mut timed, others): (Vec<_>, Vec<_>) =
        programs.into_iter().partition(|program| rank(program).is_some());
    timed.sort_by_key(rank);
    Queues { timed: timed.into(), others: others.into() }
}

/// Builds the test programs and says where they are.
fn built() -> Result<Vec<Program>> {
    let mut build = cargo(&["test", "--package", "swarm-e2e", "--no-run"]);
    build.arg("--message-format=json-render-diagnostics");
    let output = build.stderr(Stdio::inherit()).output().context("building the test programs")?;
    if !output.status.success() {
        bail!("the test programs do not build ({})", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs: Vec<_> = messages.filter_map(|message| program(&message)).collect();
    if programs.is_empty() {
        bail!("cargo built no end-to-end test program");
    }
    Ok(programs)
}

/// A test program in one of cargo's messages.
fn program(message: &Value) -> Option<Program> {
    let path = message["executable"].as_str()?;
    let is_test = message["profile"]["test"].as_bool()?;
    let name = message["target"]["name"].as_str()?;
    is_test.then(|| Program { name: name.to_owned(), path: path.into() })
}

impl Program {
    /// Shows at its end all that it said; what it counted, and whether all is well.
    fn run(&self, filter: Option<&str>, swarm: &Path) -> (Count, bool) {
        let mut command = Command::new(&self.path);
        command.args(filter).current_dir(root().join("crates/swarm-e2e")).env("SWARM_BIN", swarm);
        // An error's own words say where it failed.
        command.env("RUST_LIB_BACKTRACE", "0");
        let start = Instant::now();
        let mut said = Vec::new();
        let (mut count, failure) = match counting(command, &mut said) {
            Ok((count, status)) if status.success() => (count, None),
            Ok((count, status)) => (count, Some(status.to_string())),
            Err(error) => (Count::default(), Some(format!("{error:#}"))),
        };
        let mut out = std::io::stdout().lock();
        // A reader that has gone does not keep the other programs from running.
        let _ = writeln!(out, "\n── {} ({})", self.name, time(start.elapsed()).trim());
        let _ = out.write_all(&said);
        if let Some(failure) = &failure {
            let _ = writeln!(out, "{}: {failure}", self.name);
            count.failed = count.failed.max(1);
        }
        (count, failure.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(names: &[&str]) -> Mutex<Queues> {
        let one = |name: &&str| Program { name: (*name).to_owned(), path: PathBuf::new() };
        Mutex::new(sorted(names.iter().map(one).collect()))
    }

    #[test]
    fn bounded_programs_never_run_beside_each_other() {
        let queues = programs(&["agent", "failover", "moves", "pool"]);
        let take = |bounded| next(&queues, bounded).map(|program| program.name);
        assert_eq!(take(true).as_deref(), Some("moves"));
        assert_eq!(take(false).as_deref(), Some("agent"));
        assert_eq!(take(false).as_deref(), Some("pool"));
        assert_eq!(take(false), None, "failover is for the other lane");
        assert_eq!(take(true).as_deref(), Some("failover"));
        let queues = programs(&["agent"]);
        assert_eq!(next(&queues, true).map(|program| program.name).as_deref(), Some("agent"));
    }

    #[test]
    fn test_programs_are_found_in_cargos_messages() {
        let message = |test: bool| {
            serde_json::json!({
                "reason": "compiler-artifact",
                "target": { "name": "moves" },
                "profile": { "test": test },
                "executable": "/t/moves-1",
            })
        };
        assert_eq!(program(&message(true)).unwrap().name, "moves");
        assert!(program(&message(false)).is_none());
        assert!(program(&serde_json::json!({ "reason": "build-finished" })).is_none());
    }
}
