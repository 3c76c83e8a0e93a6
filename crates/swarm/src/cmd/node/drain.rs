//! `swarm node drain`: sets nodes so, and waits until nothing that can move is left on them.
//!
//! A pool tells how far it is (`Swarm.Drain` of its nodes); a swarm moves tasks, which are counted here.
//! Plain containers of a swarm's node stay where they are.

use std::time::Duration;

use anyhow::bail;
use http::Method;
use serde_json::{Value, json};
use swarm_docker::json::text;
use swarm_model::TaskState;
use tokio::time::{Instant, sleep};

use super::super::manager::{Manager, in_path};
use super::{inspect, print, set};
use crate::cli::DrainFlags;
use crate::config::Env;
use crate::values::duration;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Drains nodes.
pub async fn run(flags: &DrainFlags, env: Env<'_>) -> anyhow::Result<()> {
    let timeout = duration("--timeout", flags.timeout.as_deref().unwrap_or("10m"))?;
    let manager = Manager::new(&flags.nodes.manager, env)?;
    for node in &flags.nodes.nodes {
        set(&manager, node, "drain").await?;
    }
    if flags.no_wait {
        return Ok(());
    }
    let end = Instant::now() + timeout;
    let info = manager.ask(Method::GET, "/info", None).await?;
    let is_swarm = info["Swarm"]["LocalNodeState"] == "active";
    let mut stay = 0;
    for node in &flags.nodes.nodes {
        let drained = until_drained(&manager, node, is_swarm, end).await?;
        print(&format!("{node} drained: {} moved\n", drained["Moved"]))?;
        let stays = drained["Stays"].as_array().map_or(&[][..], Vec::as_slice);
        for one in stays {
            let (name, reason) = (text(&one["Name"]), text(&one["Reason"]));
            eprintln!("{node}: {name} cannot be moved: {reason}");
        }
        stay += stays.len();
    }
    if flags.strict && stay > 0 {
        bail!("{stay} cannot be moved");
    }
    Ok(())
}

/// Waits until nothing that can move is left; what was said of it last.
async fn until_drained(
    manager: &Manager,
    node: &str,
    is_swarm: bool,
    end: Instant,
) -> anyhow::Result<Value> {
    let (mut told, mut most) = (String::new(), 0);
    loop {
        let known = inspect(manager, node).await?;
        let drain = if is_swarm {
            let left = tasks_left(manager, &text(&known["ID"])).await?;
            most = most.max(left);
            json!({"Moved": most - left, "ToMove": left})
        } else {
            known["Swarm"]["Drain"].clone()
        };
        if known["Spec"]["Availability"] != "drain" {
            bail!("somebody set {node} {} meanwhile", text(&known["Spec"]["Availability"]));
        }
        if drain["ToMove"] == 0 {
            return Ok(drain);
        }
        if known["Status"]["State"] != "ready" {
            bail!(
                "{node} is {} ({}): nothing can be moved off it in order",
                text(&known["Status"]["State"]),
                text(&known["Status"]["Message"])
            );
        }
        let now = progress(&drain);
        if now != told {
            eprintln!("{node}: {now}");
            told = now;
        }
        if Instant::now() > end {
            bail!("{node} is not drained yet ({told}); it goes on by itself");
        }
        sleep(LOOK).await;
    }
}

/// How many tasks have not ended on a swarm's node.
async fn tasks_left(manager: &Manager, id: &str) -> anyhow::Result<usize> {
    let filters = json!({"node": [id]}).to_string();
    let path = format!("/tasks?filters={}", in_path(&filters));
    Ok(still_there(&manager.ask(Method::GET, &path, None).await?))
}

fn still_there(tasks: &Value) -> usize {
    let has_ended = |task: &&Value| {
        let state = serde_json::from_value::<TaskState>(task["Status"]["State"].clone());
        state.is_ok_and(TaskState::is_end)
    };
    let tasks = tasks.as_array().map_or(&[][..], Vec::as_slice);
    tasks.iter().filter(|task| !has_ended(task)).count()
}

fn progress(drain: &Value) -> String {
    if drain.is_null() {
        return "draining".to_owned();
    }
    let mut words = format!("{} moved, {} to move", drain["Moved"], drain["ToMove"]);
    for failed in drain["Failed"].as_array().into_iter().flatten() {
        words = format!("{words}; {}: {}", text(&failed["Name"]), text(&failed["Reason"]));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_there_until_it_has_ended() {
        let task = |state: &str| json!({"Status": {"State": state}, "DesiredState": "shutdown"});
        let tasks = json!([task("running"), task("shutdown"), task("starting"), task("failed")]);
        assert_eq!(still_there(&tasks), 2);
        assert_eq!(still_there(&json!([])), 0);
    }

    #[test]
    fn progress_names_what_failed() {
        assert_eq!(progress(&Value::Null), "draining");
        let drain = json!({"Moved": 1, "ToMove": 2,
            "Failed": [{"Name": "web", "Reason": "its new copy is unhealthy"}]});
        assert_eq!(progress(&drain), "1 moved, 2 to move; web: its new copy is unhealthy");
    }
}
