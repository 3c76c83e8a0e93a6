//! `swarm doctor`: whether this machine can be a node or a manager of a pool, and with a manager
//! named whether this machine could stand in for it. It only looks.

mod certificates;
mod engine;
mod host;
mod reach;

use std::path::Path;
use std::time::SystemTime;

use swarm_engine::EngineAddress;

use super::manager::Manager;
use super::verdict::{Finding, Level, Verdict};
use super::{manager, status};
use crate::cli::DoctorFlags;
use crate::config::Env;
use crate::usage::UsageError;

/// Where Docker's engine listens unless told otherwise.
const ENGINE: &str = "unix:///var/run/docker.sock";

/// What was seen so far.
#[derive(Debug, Default)]
struct Seen {
    facts: Vec<String>,
    findings: Vec<Finding>,
}

impl Seen {
    fn fact(&mut self, fact: impl Into<String>) {
        self.facts.push(fact.into());
    }

    fn find(&mut self, level: Level, what: impl Into<String>, todo: impl Into<String>) {
        self.findings.push(Finding::new(level, what, todo));
    }
}

/// Looks and says.
pub async fn run(flags: &DoctorFlags, env: Env<'_>) -> anyhow::Result<()> {
    look(flags, env).await?.say(flags.json)
}

/// Looks.
pub(super) async fn look(flags: &DoctorFlags, env: Env<'_>) -> anyhow::Result<Verdict> {
    let text = flags.engine.as_deref().unwrap_or(ENGINE);
    let address: EngineAddress = text.parse().map_err(|error: swarm_engine::AddressError| {
        UsageError::value("--engine", text, error.reason)
    })?;
    let mut seen = Seen::default();
    engine::look(&address, &mut seen).await;
    host::look(Path::new("/"), &mut seen);
    if let Some(files) = manager::tls_files(&flags.manager, env)? {
        let files = [files.ca, files.cert];
        certificates::look(files.iter().flatten(), SystemTime::now(), &mut seen);
    }
    let mut summary = "this machine as a node of a pool".to_owned();
    if flags.manager.host.is_some() {
        let pool = Manager::new(&flags.manager, env)?;
        match status::look(&pool).await {
            Ok((info, nodes)) => {
                let verdict = status::judge(&info, &nodes);
                summary = format!("this machine, and a pool: {}", verdict.summary);
                seen.findings.extend(verdict.findings);
                reach::look(&nodes, &mut seen).await;
            }
            Err(error) => {
                let todo = "start it, or name another one with -H";
                seen.find(Level::Critical, format!("{error:#}"), todo);
            }
        }
    }
    let Seen { facts, findings } = seen;
    Ok(Verdict { summary, facts, findings })
}
