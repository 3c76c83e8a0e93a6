//! `swarm service restart`: every task of a service anew, as its update configuration says: a forced
//! update, followed until it is over, as `docker service update --force` does it.

use std::time::Duration;

use anyhow::{Context, bail};
use http::Method;
use serde_json::{Value, json};
use swarm_docker::OUT_OF_SEQUENCE;
use swarm_docker::json::text;
use tokio::time::{Instant, sleep};

use super::manager::{Manager, in_path};
use super::node::print;
use crate::cli::{RestartFlags, ServiceCommand};
use crate::config::Env;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(300);
/// How often an update is tried that another one came before.
const UPDATES: usize = 5;
/// An update that was not begun by then has nothing to do: the service has no tasks.
const BEGUN: Duration = Duration::from_secs(5);

/// Runs one of the subcommands.
pub async fn run(command: ServiceCommand, env: Env<'_>) -> anyhow::Result<()> {
    let ServiceCommand::Restart(flags) = command;
    let RestartFlags { services, detach, manager } = flags;
    let manager = Manager::new(&manager, env)?;
    let mut failed = Vec::new();
    for name in &services {
        // What happens to one is no reason to leave the others as they are.
        if let Err(error) = restart(&manager, name, detach).await {
            if services.len() == 1 {
                return Err(error);
            }
            eprintln!("{name}: {}", crate::said_once(&error));
            failed.push(name.as_str());
        }
    }
    if !failed.is_empty() {
        bail!("not restarted: {}", failed.join(", "));
    }
    Ok(())
}

async fn restart(manager: &Manager, name: &str, detach: bool) -> anyhow::Result<()> {
    let id = force(manager, name).await?;
    if detach {
        return print(&format!("{name}\n"));
    }
    let begun = Instant::now();
    let mut told = String::new();
    loop {
        let service = inspect(manager, &id).await?;
        let now = progress(&service, &current(manager, &id).await?);
        if now != told {
            eprintln!("{name}: {now}");
            told = now;
        }
        match outcome(&service) {
            Outcome::Done => return print(&format!("{name} restarted\n")),
            Outcome::Failed(words) => bail!("{words}"),
            Outcome::NotBegun if begun.elapsed() > BEGUN && told.starts_with("0 of 0") => {
                return print(&format!("{name} has no tasks to restart\n"));
            }
            Outcome::NotBegun | Outcome::GoesOn => sleep(LOOK).await,
        }
    }
}

/// Asks for it; somebody else's change at the same time is looked at again. The service's id.
async fn force(manager: &Manager, name: &str) -> anyhow::Result<String> {
    for attempt in 1.. {
        let known = inspect(manager, name).await?;
        let (id, version) = (text(&known["ID"]), &known["Version"]["Index"]);
        let spec = forced(known["Spec"].clone())?;
        let path =
            format!("/services/{}/update?version={version}&registryAuthFrom=spec", in_path(&id));
        match manager.ask(Method::POST, &path, Some(&spec)).await {
            Err(error) if attempt < UPDATES && error.to_string().contains(OUT_OF_SEQUENCE) => {}
            outcome => return outcome.map(|_| id),
        }
    }
    bail!("it was changed again and again meanwhile")
}

/// The same spec, with every task to be replaced.
fn forced(mut spec: Value) -> anyhow::Result<Value> {
    if !spec["Mode"]["ReplicatedJob"].is_null() || !spec["Mode"]["GlobalJob"].is_null() {
        bail!("it is a job, which ends by itself; docker service update --force runs it again");
    }
    let template =
        spec["TaskTemplate"].as_object_mut().context("the service has no task template")?;
    let count = template.get("ForceUpdate").and_then(Value::as_u64).unwrap_or(0);
    template.insert("ForceUpdate".to_owned(), count.wrapping_add(1).into());
    Ok(spec)
}

async fn inspect(manager: &Manager, name: &str) -> anyhow::Result<Value> {
    manager.ask(Method::GET, &format!("/services/{}", in_path(name)), None).await
}

/// The tasks that are wanted and as the service's spec says.
async fn current(manager: &Manager, id: &str) -> anyhow::Result<Value> {
    let filters = json!({"service": [id], "_up-to-date": ["true"], "desired-state": ["running"]});
    let path = format!("/tasks?filters={}", in_path(&filters.to_string()));
    manager.ask(Method::GET, &path, None).await
}

/// Where an update stands.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    NotBegun,
    GoesOn,
    Done,
    /// In words.
    Failed(String),
}

fn outcome(service: &Value) -> Outcome {
    let status = &service["UpdateStatus"];
    match status["State"].as_str().unwrap_or_default() {
        "" => Outcome::NotBegun,
        "completed" => Outcome::Done,
        "paused" | "rollback_paused" | "rollback_completed" => {
            let words = text(&status["Message"]);
            Outcome::Failed(format!("the restart did not end well: {words}"))
        }
        _ => Outcome::GoesOn,
    }
}

/// How many tasks run anew, in words.
fn progress(service: &Value, current: &Value) -> String {
    let current = current.as_array().map_or(&[][..], Vec::as_slice);
    let running = current.iter().filter(|task| task["Status"]["State"] == "running").count();
    let all = service["Spec"]["Mode"]["Replicated"]["Replicas"].as_u64();
    let all = all.unwrap_or(current.len() as u64);
    let state = service["UpdateStatus"]["Message"].as_str().unwrap_or("update begins");
    let mut words = format!("{running} of {all} tasks run anew ({state})");
    // What keeps the others from it.
    let stuck = current.iter().find_map(|task| task["Status"]["Err"].as_str());
    if let Some(why) = stuck.filter(|why| !why.is_empty()) {
        words = format!("{words}: {why}");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_a_forced_update_and_jobs_have_none() {
        let spec =
            |mode: Value| json!({"Name": "a", "Mode": mode, "TaskTemplate": {"ForceUpdate": 7}});
        let forced_once = forced(spec(json!({"Replicated": {"Replicas": 1}}))).unwrap();
        assert_eq!(forced_once["TaskTemplate"]["ForceUpdate"], 8);
        assert!(forced(spec(json!({"GlobalJob": {}}))).unwrap_err().to_string().contains("a job"));
    }

    #[test]
    fn an_update_is_followed_to_its_end() {
        let service = |state: &str| {
            json!({"UpdateStatus": {"State": state, "Message": "words"},
                "Spec": {"Mode": {"Replicated": {"Replicas": 3}}}})
        };
        assert_eq!(outcome(&json!({})), Outcome::NotBegun);
        assert_eq!(outcome(&service("updating")), Outcome::GoesOn);
        assert_eq!(outcome(&service("rollback_started")), Outcome::GoesOn);
        assert_eq!(outcome(&service("completed")), Outcome::Done);
        for state in ["paused", "rollback_paused", "rollback_completed"] {
            assert!(matches!(outcome(&service(state)), Outcome::Failed(_)), "{state}");
        }
        let tasks = json!([{"Status": {"State": "running"}},
            {"Status": {"State": "pending", "Err": "no suitable node"}}]);
        let words = progress(&service("updating"), &tasks);
        assert_eq!(words, "1 of 3 tasks run anew (words): no suitable node");
    }
}
