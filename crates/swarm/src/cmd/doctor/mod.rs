//! `swarm doctor`: looks whether this machine can be a node or a manager of a pool, and with a manager
//! named at its pool and the way to its nodes. What that means is judged by `swarm-doctor`.

mod observe;

use std::path::Path;

use swarm_doctor::{Level, Verdict};
use swarm_engine::EngineAddress;

use super::manager::{Manager, tls_files};
use super::status;
use super::verdict::say;
use crate::cli::DoctorFlags;
use crate::config::{Env, LOCAL_ENGINE};
use crate::usage::UsageError;

/// Looks and says.
pub async fn run(flags: &DoctorFlags, env: Env<'_>) -> anyhow::Result<()> {
    say(&look(flags, env).await?, flags.json)
}

/// Looks.
pub(super) async fn look(flags: &DoctorFlags, env: Env<'_>) -> anyhow::Result<Verdict> {
    let text = flags.engine.as_deref().unwrap_or(LOCAL_ENGINE);
    let address: EngineAddress = text.parse().map_err(|error: swarm_engine::AddressError| {
        UsageError::value("--engine", text, error.reason)
    })?;
    let mut verdict = Verdict::new("this machine as a node of a pool");
    verdict.join(observe::engine(&address).await);
    verdict.join(observe::host(Path::new("/")).judge());
    if let Some(files) = tls_files(&flags.manager, env)? {
        for file in files.ca.iter().chain(&files.cert) {
            verdict.join(observe::certificates(file));
        }
    }
    if flags.manager.host.is_some() {
        match status::look(&Manager::new(&flags.manager, env)?).await {
            Ok((info, nodes)) => {
                let pool = swarm_doctor::pool(&info, &nodes);
                verdict.summary = format!("this machine, and a pool: {}", pool.summary);
                verdict.join(pool);
                verdict.join(swarm_doctor::reach(&observe::reach(&nodes).await));
            }
            Err(error) => {
                let todo = "start it, or name another one with -H";
                verdict.find(Level::Critical, format!("{error:#}"), todo);
            }
        }
    }
    Ok(verdict)
}
