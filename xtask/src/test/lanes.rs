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
use super::why;
use crate::cargo::{cargo, root};
use crate::progress::time;

/// Cut power, links and quorums, and say within which time what must be back; the longest first.
const TIMED: [&str; 9] = [
    "moves",
    "swarm_faults",
    "proxy",
    "stores",
    "torture",
    "failover",
    "faults",
    "swarm_linear",
    "swarm_settings",
];

/// Programs that need what no suite can have, each with the reason; another command runs them.
const ELSEWHERE: [(&str, &str); 1] = [(
    "upgrade",
    "it needs a binary of the version before, which `cargo xtask upgrade --from REVISION` builds",
)];

struct Program {
    name: String,
    path: PathBuf,
}

#[derive(Default)]
struct Queues {
    timed: VecDeque<Program>,
    others: VecDeque<Program>,
}

/// Runs those tests whose name contains `filter`, with the binary that `SWARM_BIN` names or the one that
/// was built with them.
pub fn run(filter: Option<&str>) -> Result<Count> {
    let Built { mut programs, swarm } = built()?;
    programs.retain(|program| {
        let reason = elsewhere(&program.name);
        if let Some(reason) = reason {
            println!("{}: NOT run here: {reason}", program.name);
        }
        reason.is_none()
    });
    let swarm = std::env::var_os("SWARM_BIN").map_or(swarm, PathBuf::from);
    let swarm = swarm.as_path();
    let queues = Mutex::new(sorted(programs));
    let total = Mutex::new(Count::default());
    let failed = Mutex::new(Vec::new());
    let lane = |bounded: bool| {
        while let Some(program) = next(&queues, bounded) {
            let (count, why) = program.run(filter, swarm);
            total.lock().unwrap_or_else(PoisonError::into_inner).add(count);
            if let Some(why) = why {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push((program.name, why));
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
        let names: Vec<_> = failed.iter().map(|(name, _)| &**name).collect();
        let whys: Vec<_> =
            failed.iter().map(|(name, why)| format!("\n── why {name}\n{why}")).collect();
        let whys = whys.concat();
        bail!("{} passed, {} failed, in {}{whys}", total.passed, total.failed, names.join(", "));
    }
    Ok(total)
}

/// Why a program is not the suite's.
fn elsewhere(name: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(program, _)| *program == name).map(|(_, reason)| *reason)
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

/// What cargo built.
struct Built {
    programs: Vec<Program>,
    swarm: PathBuf,
}

/// Builds the test programs and the binary, and says where they are. The whole workspace's tests are
/// asked for, as in the step before: with fewer packages cargo would choose other features, and build
/// most of it again.
fn built() -> Result<Built> {
    let mut build = cargo(&["test", "--workspace", "--no-run"]);
    build.arg("--message-format=json-render-diagnostics");
    let output = build.stderr(Stdio::inherit()).output().context("building the test programs")?;
    if !output.status.success() {
        bail!("the test programs do not build ({})", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let found = |message| executable(message);
    let all: Vec<_> = messages.iter().filter_map(found).collect();
    let swarm = all.iter().find(|(kind, program)| *kind == Kind::Binary && program.name == "swarm");
    let swarm = swarm.context("cargo built no binary swarm")?.1.path.clone();
    let programs: Vec<_> = all
        .into_iter()
        .filter_map(|(kind, program)| (kind == Kind::EndToEnd).then_some(program))
        .collect();
    if programs.is_empty() {
        bail!("cargo built no end-to-end test program");
    }
    Ok(Built { programs, swarm })
}

/// What an executable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Binary,
    EndToEnd,
    OtherTest,
}

/// The executable in one of cargo's messages.
fn executable(message: &Value) -> Option<(Kind, Program)> {
    let path = message["executable"].as_str()?;
    let name = message["target"]["name"].as_str()?;
    let is_ours = message["manifest_path"].as_str()?.ends_with("/swarm-e2e/Cargo.toml");
    let kind = match message["profile"]["test"].as_bool()? {
        false => Kind::Binary,
        true if is_ours => Kind::EndToEnd,
        true => Kind::OtherTest,
    };
    Some((kind, Program { name: name.to_owned(), path: path.into() }))
}

impl Program {
    /// Shows at its end all that it said; what it counted, and why all is not well.
    fn run(&self, filter: Option<&str>, swarm: &Path) -> (Count, Option<String>) {
        let mut command = Command::new(&self.path);
        command.args(filter).current_dir(root().join("crates/swarm-e2e")).env("SWARM_BIN", swarm);
        if let Ok(own) = std::env::current_exe() {
            command.env("XTASK_BIN", own);
        }
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
        let why =
            failure.map(|failure| why::reasons(&String::from_utf8_lossy(&said)) + &failure + "\n");
        (count, why)
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
    fn a_program_that_is_left_out_is_there_and_has_another_command() {
        let tests = root().join("crates/swarm-e2e/tests");
        for (name, reason) in ELSEWHERE {
            assert!(tests.join(name).join("main.rs").exists(), "{name}");
            assert!(reason.contains("cargo xtask"), "{name} is run by nobody");
        }
        assert!(elsewhere("up").is_none() && elsewhere("upgrade").is_some());
    }

    #[test]
    fn programs_are_found_in_cargos_messages() {
        let message = |package: &str, test: bool| {
            serde_json::json!({
                "reason": "compiler-artifact",
                "manifest_path": format!("/w/crates/{package}/Cargo.toml"),
                "target": { "name": "moves" },
                "profile": { "test": test },
                "executable": "/t/moves-1",
            })
        };
        let kind = |package, test| executable(&message(package, test)).unwrap().0;
        assert_eq!(kind("swarm-e2e", true), Kind::EndToEnd);
        assert_eq!(kind("swarm-pool", true), Kind::OtherTest);
        assert_eq!(kind("swarm", false), Kind::Binary);
        assert!(executable(&serde_json::json!({ "reason": "build-finished" })).is_none());
    }
}
