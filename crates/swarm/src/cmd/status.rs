//! `swarm status`: whether a pool or a swarm is well, and if not, what is wrong and what to do about it.

use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;
use serde_json::{Value, json};
use swarm_doctor::{Level, SwarmSeen, Verdict};

use super::manager::{Manager, in_path};
use super::verdict::say;
use crate::cli::StatusFlags;
use crate::config::Env;
use crate::said_once;

/// Looks once and says.
pub async fn run(flags: &StatusFlags, env: Env<'_>) -> anyhow::Result<()> {
    let manager = Manager::new(&flags.manager, env)?;
    let verdict = match look(&manager).await {
        Ok(looked) => looked.verdict,
        Err(error) => {
            let mut verdict = Verdict::new("no manager can be asked");
            verdict.find(Level::Critical, said_once(&error), todo_about(&error));
            verdict
        }
    };
    say(&verdict, flags.json)
}

/// What is to be done about a manager that cannot be asked.
fn todo_about(error: &anyhow::Error) -> &'static str {
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    let may_not = error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(refused)
            || cause.downcast_ref::<Arc<io::Error>>().is_some_and(|error| refused(error))
    });
    if may_not {
        return "its socket is for root and the socket's group: sudo, or join that group";
    }
    "start it, or name another one with -H or DOCKER_HOST"
}

/// What was asked, and what it means.
pub(super) struct Looked {
    /// To `GET /info`.
    pub info: Value,
    /// To `GET /nodes`; nothing where a node is no manager.
    pub nodes: Value,
    /// The judgement.
    pub verdict: Verdict,
}

/// Asks for what is judged, and judges it.
pub(super) async fn look(manager: &Manager) -> anyhow::Result<Looked> {
    let get = async |path: &str| manager.ask(Method::GET, path, None).await;
    let info = match get("/info").await {
        Ok(info) => info,
        // The cluster endpoint has nobody to pass this on to; what it says is what is wrong.
        Err(error) if error.to_string().contains("does not have a leader") => {
            let mut verdict = Verdict::new("the swarm has no leader");
            let todo = "ask a manager's node endpoint for more: swarm status -H \
                        unix:///run/swarm/docker.sock";
            verdict.find(Level::Critical, said_once(&error), todo);
            return Ok(Looked { info: Value::Null, nodes: Value::Null, verdict });
        }
        Err(error) => return Err(error),
    };
    let is_pool = info["SystemStatus"].is_array() && !is_swarm(&info);
    if is_pool {
        let nodes = get("/nodes").await?;
        let verdict = swarm_doctor::pool(&info, &nodes);
        return Ok(Looked { info, nodes, verdict });
    }
    if info["Swarm"]["LocalNodeState"] == "inactive" && !manager.is_ours() {
        let mut verdict = Verdict::new("a Docker Engine was asked, and no manager");
        let todo = "name a manager with -H or DOCKER_HOST: that of swarm manage, or of swarm daemon \
                    (unix:///run/swarm/docker.sock)";
        verdict.find(Level::Critical, "there is no pool and no swarm to look at", todo);
        return Ok(Looked { info, nodes: Value::Null, verdict });
    }
    let mut seen = SwarmSeen { info, now: now(), ..SwarmSeen::default() };
    if is_swarm(&seen.info) {
        seen.nodes = get("/nodes").await?;
        seen.services = get("/services?status=1").await?;
        seen.tasks = get(&wanted_tasks()).await?;
    }
    let verdict = swarm_doctor::swarm(&seen);
    Ok(Looked { info: seen.info, nodes: seen.nodes, verdict })
}

/// Whether a manager of a swarm answered.
pub(super) fn is_swarm(info: &Value) -> bool {
    info["Swarm"]["ControlAvailable"] == true
}

/// The path of the tasks that are wanted.
pub(super) fn wanted_tasks() -> String {
    let filters = json!({"desired-state": ["running", "ready"]});
    format!("/tasks?filters={}", in_path(&filters.to_string()))
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_ask_is_told_so() {
        let error = |kind: io::ErrorKind| anyhow::Error::from(io::Error::from(kind));
        assert!(todo_about(&error(io::ErrorKind::PermissionDenied)).contains("sudo"));
        assert!(todo_about(&error(io::ErrorKind::NotFound)).starts_with("start it"));
        let shared = Arc::new(io::Error::from(io::ErrorKind::PermissionDenied));
        let error = anyhow::Error::from(shared).context("cannot reach the manager");
        assert!(todo_about(&error).contains("sudo"));
    }
}
