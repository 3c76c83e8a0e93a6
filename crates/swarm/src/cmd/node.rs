//! `swarm node`: a pool's engines from the command line. It asks the manager what `docker node` asks
//! it, and waits for a drain to end.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use comfy_table::{Table, presets};
use http::Method;
use serde_json::{Value, json};
use swarm_docker::json::text;
use tokio::time::{Instant, sleep};

use super::manager::{Manager, in_path};
use crate::cli::{DrainFlags, NodeCommand, NodesFlags};
use crate::config::Env;
use crate::values::duration;

/// Between two looks at a drain.
const LOOK: Duration = Duration::from_millis(500);
/// How often an update is tried that another one came before.
const UPDATES: usize = 5;

/// Runs one of the subcommands.
pub async fn run(command: NodeCommand, env: Env<'_>) -> anyhow::Result<()> {
    match command {
        NodeCommand::Ls { quiet, manager } => list(&Manager::new(&manager, env)?, quiet).await,
        NodeCommand::Inspect(NodesFlags { nodes, manager }) => {
            let manager = Manager::new(&manager, env)?;
            let mut found = Vec::new();
            for node in &nodes {
                found.push(inspect(&manager, node).await?);
            }
            print(&format!("{:#}\n", Value::Array(found)))
        }
        NodeCommand::Cordon(flags) => set_all(&flags, env, "pause", "cordoned").await,
        NodeCommand::Uncordon(flags) => set_all(&flags, env, "active", "uncordoned").await,
        NodeCommand::Drain(flags) => drain(&flags, env).await,
        NodeCommand::Rm { force, nodes: NodesFlags { nodes, manager } } => {
            let manager = Manager::new(&manager, env)?;
            for node in &nodes {
                let path = format!("/nodes/{}?force={}", in_path(node), u8::from(force));
                manager.ask(Method::DELETE, &path, None).await?;
                print(&format!("{node} removed\n"))?;
            }
            Ok(())
        }
    }
}

async fn inspect(manager: &Manager, node: &str) -> anyhow::Result<Value> {
    manager.ask(Method::GET, &format!("/nodes/{}", in_path(node)), None).await
}

async fn list(manager: &Manager, quiet: bool) -> anyhow::Result<()> {
    let nodes = manager.ask(Method::GET, "/nodes", None).await?;
    let nodes = nodes.as_array().map_or(&[][..], Vec::as_slice);
    if quiet {
        let names: String = nodes.iter().map(|node| text(&node["Spec"]["Name"]) + "\n").collect();
        return print(&names);
    }
    print(&format!("{}\n", table(nodes)))
}

fn table(nodes: &[Value]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["NAME", "STATUS", "AVAILABILITY", "CONTAINERS", "ENGINE", "ADDRESS", "NOTE"]);
    for node in nodes {
        let containers = match &node["Swarm"]["Containers"] {
            Value::Null => "-".to_owned(),
            all => format!("{all} ({} running)", node["Swarm"]["Running"]),
        };
        table.add_row([
            text(&node["Spec"]["Name"]),
            text(&node["Status"]["State"]),
            text(&node["Spec"]["Availability"]),
            containers,
            text(&node["Description"]["Engine"]["EngineVersion"]),
            text(&node["Status"]["Addr"]),
            text(&node["Status"]["Message"]),
        ]);
    }
    // As docker's own tables: nothing before the first column, two spaces between.
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

async fn set_all(
    flags: &NodesFlags,
    env: Env<'_>,
    availability: &str,
    done: &str,
) -> anyhow::Result<()> {
    let manager = Manager::new(&flags.manager, env)?;
    for node in &flags.nodes {
        set(&manager, node, availability).await?;
        print(&format!("{node} {done}\n"))?;
    }
    Ok(())
}

/// Sets one node's availability; somebody else's change at the same time is looked at again.
async fn set(manager: &Manager, node: &str, availability: &str) -> anyhow::Result<()> {
    for attempt in 1.. {
        let known = inspect(manager, node).await?;
        let (id, version) = (text(&known["ID"]), &known["Version"]["Index"]);
        let path = format!("/nodes/{}/update?version={version}", in_path(&id));
        let spec = json!({"Availability": availability});
        match manager.ask(Method::POST, &path, Some(&spec)).await {
            Err(error) if attempt < UPDATES && error.to_string().contains("out of sequence") => {}
            outcome => return outcome.map(drop),
        }
    }
    Ok(())
}

async fn drain(flags: &DrainFlags, env: Env<'_>) -> anyhow::Result<()> {
    let timeout = duration("--timeout", flags.timeout.as_deref().unwrap_or("10m"))?;
    let manager = Manager::new(&flags.nodes.manager, env)?;
    for node in &flags.nodes.nodes {
        set(&manager, node, "drain").await?;
    }
    if flags.no_wait {
        return Ok(());
    }
    let end = Instant::now() + timeout;
    let mut stay = 0;
    for node in &flags.nodes.nodes {
        let drained = until_drained(&manager, node, end).await?;
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
async fn until_drained(manager: &Manager, node: &str, end: Instant) -> anyhow::Result<Value> {
    let mut told = String::new();
    loop {
        let known = inspect(manager, node).await?;
        let drain = &known["Swarm"]["Drain"];
        if known["Spec"]["Availability"] != "drain" {
            bail!("somebody set {node} {} meanwhile", text(&known["Spec"]["Availability"]));
        }
        if drain["ToMove"] == 0 {
            return Ok(drain.clone());
        }
        if known["Status"]["State"] != "ready" {
            bail!(
                "{node} is {} ({}): nothing can be moved off it in order",
                text(&known["Status"]["State"]),
                text(&known["Status"]["Message"])
            );
        }
        let now = progress(drain);
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

/// Prints, and does not mind a reader that left.
pub fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stand_in_a_table() {
        let node = json!({
            "Spec": {"Name": "node-1", "Availability": "drain"},
            "Status": {"State": "ready", "Addr": "10.0.0.1:2375", "Message": "drained: 1 moved"},
            "Description": {"Engine": {"EngineVersion": "20.10.24"}},
            "Swarm": {"Containers": 3, "Running": 2},
        });
        let shown = table(&[node]).to_string();
        let lines: Vec<Vec<&str>> =
            shown.lines().map(|line| line.split("  ").map(str::trim).collect()).collect();
        let cells: Vec<_> = lines[1].iter().filter(|cell| !cell.is_empty()).copied().collect();
        let expected = [
            "node-1",
            "ready",
            "drain",
            "3 (2 running)",
            "20.10.24",
            "10.0.0.1:2375",
            "drained: 1 moved",
        ];
        assert_eq!(cells, expected);
        assert!(shown.starts_with("NAME"), "{shown}");
    }

    #[test]
    fn progress_names_what_failed() {
        assert_eq!(progress(&Value::Null), "draining");
        let drain = json!({"Moved": 1, "ToMove": 2,
            "Failed": [{"Name": "web", "Reason": "its new copy is unhealthy"}]});
        assert_eq!(progress(&drain), "1 moved, 2 to move; web: its new copy is unhealthy");
    }
}
