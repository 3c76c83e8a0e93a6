//! What `swarm up` and `swarm down` share: the machines that were named, the look at them, and saying how
//! it goes.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use swarm_install::{Applied, Goods, Look, Plan, Refusal, Ssh, Step, Target, Watcher};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::SshFlags;
use crate::config::{Env, set};
use crate::usage::UsageError;

/// Shorter steps are told without their time.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// Things stand in the way, or a step failed; each has a line.
#[derive(Debug, thiserror::Error)]
#[error("{what}\n{}", lines(refusals))]
struct NotDone {
    what: &'static str,
    refusals: Vec<Refusal>,
}

fn lines(refusals: &[Refusal]) -> String {
    refusals.iter().map(|refusal| format!("  {refusal}")).collect::<Vec<_>>().join("\n")
}

/// The machines, in the order in which they were named, each once.
#[derive(Debug)]
pub struct Machines {
    ssh: Arc<Ssh>,
    targets: Vec<Target>,
}

impl Machines {
    /// Reads them.
    pub fn new(hosts: &[String], flags: &SshFlags, env: Env<'_>) -> anyhow::Result<Self> {
        let command = flags.ssh.clone().or_else(|| set(env, "SWARM_SSH"));
        let command = command.unwrap_or_else(|| "ssh".to_owned());
        // ssh asks at the terminal itself, whatever its input is.
        let person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let ssh = Ssh::new(&command, person)
            .map_err(|error| UsageError::value("--ssh", &command, error.to_string()))?;
        let mut machines = Self { ssh: Arc::new(ssh), targets: Vec::new() };
        for host in hosts {
            machines.add("HOST", host)?;
        }
        Ok(machines)
    }

    /// The place of a machine that a flag names: one of those that are there, or one more.
    pub fn add(&mut self, flag: &str, text: &str) -> Result<usize, UsageError> {
        if let Some(at) = self.find(text) {
            return Ok(at);
        }
        let target =
            Target::parse(text).map_err(|error| UsageError::value(flag, text, error.problem))?;
        self.targets.push(target);
        Ok(self.targets.len() - 1)
    }

    /// The place of one that is there.
    pub fn find(&self, text: &str) -> Option<usize> {
        self.targets.iter().position(|target| target.is(text))
    }

    /// Looks at all of them.
    pub async fn look(&self) -> anyhow::Result<Look> {
        let looked = swarm_install::look(&self.ssh, &self.targets).await;
        looked.map_err(|refusals| not_done("nothing was changed:", refusals))
    }

    /// Says what a plan does, and unless that was all, does it.
    pub async fn carry_out(
        &self,
        look: &Look,
        plan: &Plan,
        goods: Option<&Goods>,
        dry_run: bool,
    ) -> anyhow::Result<Option<Applied>> {
        for (host, words) in &plan.notes {
            say(&format!("{}: note: {words}", self.name(*host)))?;
        }
        if plan.is_empty() {
            return Ok(None);
        }
        if dry_run {
            for (at, step) in plan.steps().enumerate() {
                say(&format!("{:>3}. {}: {}", at + 1, self.name(step.host), step.action))?;
            }
            say("nothing was changed (--dry-run)")?;
            return Ok(None);
        }
        let progress = Progress;
        let applied = swarm_install::apply(look, plan, goods, &progress).await;
        let what =
            "not all was done; what was done stays, and the same command goes on from there:";
        applied.map(Some).map_err(|refusals| not_done(what, refusals))
    }

    /// A machine as it was written.
    pub fn name(&self, at: usize) -> String {
        self.targets.get(at).map(ToString::to_string).unwrap_or_default()
    }

    /// Does it, unless somebody ends this process first; the connections end either way.
    pub async fn unless_interrupted(
        &self,
        work: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let done = tokio::select! {
            biased;
            ended = interrupted() => ended,
            done = work => done,
        };
        self.ssh.close(self.targets.iter()).await;
        done
    }
}

/// Waits for a signal that ends a process.
async fn interrupted() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    anyhow::bail!("interrupted; what was done stays, and the same command goes on from there")
}

/// What stands in the way, as an error.
pub fn not_done(what: &'static str, refusals: Vec<Refusal>) -> anyhow::Error {
    NotDone { what, refusals }.into()
}

/// A line of progress.
pub fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}

/// A line for each step that is done.
struct Progress;

impl Watcher for Progress {
    fn begins(&self, host: &str, step: &Step) {
        // Only where somebody may wonder why nothing is said.
        if std::io::stdout().is_terminal() && step.action.may_take_long() {
            let _ = say(&format!("{host}: {} …", step.action));
        }
    }

    fn done(&self, host: &str, step: &Step, took: Duration, said: Option<&str>) {
        let mut line = format!("{host}: {}: done", step.action);
        if took >= WORTH_TELLING {
            line = format!("{line} in {:.1} s", took.as_secs_f64());
        }
        if let Some(said) = said {
            line = format!("{line} ({said})");
        }
        // A reader that went away is no reason to stop half-way.
        let _ = say(&line);
    }

    fn failed(&self, host: &str, step: &Step, words: &str) {
        let _ = say(&format!("{host}: {}: FAILED: {words}", step.action));
    }
}
