//! `swarm node`: a pool's engines, or a swarm's nodes, from the command line. It asks the manager what
//! `docker node` asks it, and waits for a drain to end: [`drain`].

mod drain;

use std::io::{ErrorKind, Write};

use anyhow::Context as _;
use comfy_table::{Table, presets};
use http::Method;
use serde_json::Value;
use swarm_docker::OUT_OF_SEQUENCE;
use swarm_docker::json::text;

use super::manager::{Manager, in_path};
use crate::cli::{NodeCommand, NodesFlags};
use crate::config::Env;

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
        NodeCommand::Drain(flags) => drain::run(&flags, env).await,
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
        let names: String = nodes.iter().map(|node| name(node) + "\n").collect();
        return print(&names);
    }
    print(&format!("{}\n", table(nodes)))
}

/// What a person calls a node: a pool's engines have names, a swarm's nodes mostly their host's alone.
fn name(node: &Value) -> String {
    let names = [&node["Spec"]["Name"], &node["Description"]["Hostname"], &node["ID"]];
    names.into_iter().map(text).find(|name| !name.is_empty()).unwrap_or_default()
}

/// What is to be known of it: the engine's trouble, or what it is among managers.
fn note(node: &Value) -> String {
    let (said, manager) = (text(&node["Status"]["Message"]), &node["ManagerStatus"]);
    match text(&manager["Reachability"]).as_str() {
        _ if !said.is_empty() => said,
        "" => String::new(),
        _ if manager["Leader"] == true => "manager, leader".to_owned(),
        reachability => format!("manager, {reachability}"),
    }
}

fn table(nodes: &[Value]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["NAME", "STATUS", "AVAILABILITY", "CONTAINERS", "ENGINE", "ADDRESS", "NOTE"]);
    for node in nodes {
        let containers = match &node["Swarm"]["Containers"] {
            Value::Null => "-".to_owned(),
            // Of one that is not heard of, only what it was is known.
            all if node["Status"]["State"] != "ready" => {
                format!("{all} ({} were running)", node["Swarm"]["Running"])
            }
            all => format!("{all} ({} running)", node["Swarm"]["Running"]),
        };
        table.add_row([
            name(node),
            text(&node["Status"]["State"]),
            text(&node["Spec"]["Availability"]),
            containers,
            text(&node["Description"]["Engine"]["EngineVersion"]),
            text(&node["Status"]["Addr"]),
            note(node),
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
        let mut spec = known["Spec"].clone();
        spec["Availability"] = availability.into();
        match manager.ask(Method::POST, &path, Some(&spec)).await {
            Err(error) if attempt < UPDATES && error.to_string().contains(OUT_OF_SEQUENCE) => {}
            outcome => return outcome.map(drop),
        }
    }
    Ok(())
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
    use serde_json::json;

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
    fn a_swarm_s_nodes_have_their_hosts_names() {
        let node = json!({
            "ID": "x1", "Spec": {"Role": "manager", "Availability": "active"},
            "Description": {"Hostname": "host-1", "Engine": {"EngineVersion": "28.5.2"}},
            "Status": {"State": "ready", "Addr": "10.0.0.1"},
            "ManagerStatus": {"Leader": true, "Reachability": "reachable"},
        });
        assert_eq!((name(&node).as_str(), note(&node).as_str()), ("host-1", "manager, leader"));
        let mut node = node;
        node["ManagerStatus"]["Leader"] = false.into();
        assert_eq!(note(&node), "manager, reachable");
        assert_eq!((name(&json!({"ID": "x2"})).as_str(), note(&json!({})).as_str()), ("x2", ""));
    }
}
