//! `swarm status`: whether a pool is well, and if not, what is wrong and what to do about it.

use http::Method;
use serde_json::Value;
use swarm_doctor::{Level, Verdict};

use super::manager::Manager;
use super::verdict::say;
use crate::cli::StatusFlags;
use crate::config::Env;

/// Looks once and says.
pub async fn run(flags: &StatusFlags, env: Env<'_>) -> anyhow::Result<()> {
    let manager = Manager::new(&flags.manager, env)?;
    let verdict = match look(&manager).await {
        Ok((info, nodes)) => swarm_doctor::pool(&info, &nodes),
        Err(error) => {
            let mut verdict = Verdict::new("no manager can be asked");
            let todo = "start it, or name another one with -H or DOCKER_HOST";
            verdict.find(Level::Critical, format!("{error:#}"), todo);
            verdict
        }
    };
    say(&verdict, flags.json)
}

/// Asks for what is judged.
pub(super) async fn look(manager: &Manager) -> anyhow::Result<(Value, Value)> {
    let info = manager.ask(Method::GET, "/info", None).await?;
    Ok((info, manager.ask(Method::GET, "/nodes", None).await?))
}
