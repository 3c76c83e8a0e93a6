//! `swarm doctor`: looks whether this machine can be a node or a manager of a pool, at what it keeps as a
//! member of a swarm (`member`), and with a manager named at its pool or swarm and the way to its nodes.
//! What that means is judged by `swarm-doctor`.

mod member;
mod observe;

use std::path::Path;

use http::Method;
use serde_json::Value;
use swarm_doctor::{Level, Verdict};
use swarm_engine::EngineAddress;
use swarm_install::ENDPOINT_FILES;

use super::manager::{Manager, tls_files};
use super::status;
use super::verdict::say;
use crate::cli::DoctorFlags;
use crate::config::{DATA_DIR, Env, LOCAL_ENGINE, set};
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
    let (looked_at, engine) = observe::engine(&address).await;
    verdict.join(looked_at);
    verdict.join(observe::host(Path::new("/")).judge());
    let folder = flags.data_dir.clone().or_else(|| set(env, "SWARM_DATA_DIR"));
    verdict.join(member::look(Path::new(folder.as_deref().unwrap_or(DATA_DIR))));
    let [_, certificate, _] = ENDPOINT_FILES;
    verdict.join(member::endpoint(Path::new(certificate)));
    if let Some(files) = tls_files(&flags.manager, env)? {
        for file in files.ca.iter().chain(&files.cert) {
            verdict.join(observe::certificates(file));
        }
    }
    if flags.manager.host.is_some() {
        let manager = Manager::new(&flags.manager, env)?;
        match status::look(&manager).await {
            Ok(status::Looked { info, nodes, verdict: found }) => {
                let is_member = info["Swarm"]["LocalNodeState"] == "active";
                let what = match () {
                    () if is_member => "a swarm",
                    () if info["SystemStatus"].is_array() => "a pool",
                    () => "what was asked",
                };
                verdict.summary = format!("this machine, and {what}: {}", found.summary);
                verdict.join(found);
                if is_member {
                    verdict.join(swarm(&manager, &info, &nodes).await);
                } else if nodes.is_array() {
                    verdict.join(swarm_doctor::reach(&observe::reach(&nodes).await));
                    if let Some(engine) = &engine {
                        verdict.join(swarm_doctor::reached(engine, &nodes));
                    }
                }
            }
            Err(error) => {
                let todo = "start it, or name another one with -H";
                verdict.find(Level::Critical, crate::said_once(&error), todo);
            }
        }
    }
    Ok(verdict)
}

/// The ways of a swarm, from this machine and as its node that was asked has them tried; the dates of its root.
async fn swarm(manager: &Manager, info: &Value, nodes: &Value) -> Verdict {
    let from_here = observe::managers(info, nodes).await;
    let mut verdict = swarm_doctor::reach_managers(&from_here);
    match manager.ask(Method::GET, "/swarm/ways", None).await {
        Ok(ways) => verdict.join(swarm_doctor::ways(info, &ways, &from_here)),
        Err(error) => verdict.find(
            Level::Healthy,
            format!("whether the managers reach each other is not told: {error:#}"),
            "ask a node whose swarm daemon is of this version",
        ),
    }
    if let Some(root) = info["Swarm"]["Cluster"]["TLSInfo"]["TrustRoot"].as_str() {
        verdict.join(observe::root(root));
    }
    verdict
}
