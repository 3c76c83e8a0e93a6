//! `swarm rebalance`: the manager's plan to even the pool out, and with `--apply` how each move went, as it
//! ends. Ctrl-C ends it after the moves under way; a second one leaves at once.

use anyhow::bail;
use comfy_table::{Table, presets};
use http::Method;
use serde_json::Value;
use swarm_docker::json::text;
use tokio::signal::unix::{SignalKind, signal};

use super::manager::Manager;
use super::node::print;
use crate::cli::RebalanceFlags;
use crate::config::Env;

/// Shows the plan, and has it carried out where that is wanted.
pub async fn run(flags: RebalanceFlags, env: Env<'_>) -> anyhow::Result<()> {
    let manager = Manager::new(&flags.manager, env)?;
    let RebalanceFlags { apply, at_once, limit, .. } = flags;
    let path = format!("/pool/rebalance?apply={}&at_once={at_once}&limit={limit}", u8::from(apply));
    let mut lines = manager.lines(Method::POST, &path).await?;
    // Before anything is shown that somebody may want to stop; without --apply it ends anyway.
    let mut interrupts = apply.then(|| signal(SignalKind::interrupt())).transpose()?;
    let Some(plan) = lines.next().await? else { bail!("the manager answered nothing") };
    show(&plan)?;
    let Some(interrupts) = &mut interrupts else {
        if plan["Moves"].as_array().is_some_and(|moves| !moves.is_empty()) {
            print("nothing was moved; --apply moves\n")?;
        }
        return Ok(());
    };
    let (mut last, mut is_stopping) = (Value::Null, false);
    loop {
        let line = tokio::select! {
            line = lines.next() => line?,
            _ = interrupts.recv() => {
                if is_stopping {
                    bail!("not waited for: the moves under way go on, and no other is begun");
                }
                is_stopping = true;
                stop(&manager).await?;
                continue;
            }
        };
        let Some(line) = line else { break };
        let name = text(&line["Container"]);
        if line["Container"].is_null() {
            last = line;
        } else if line["MovedTo"].is_string() {
            print(&format!("{name} moved to {}\n", text(&line["MovedTo"])))?;
        } else {
            eprintln!("{name} not moved: {}", text(&line["Error"]));
        }
    }
    if last.is_null() {
        bail!("the answer ended early: what was begun goes on; look with swarm rebalance");
    }
    if last["Error"].is_string() {
        bail!("{} moved, {}", last["Moved"], text(&last["Error"]));
    }
    match last["Failed"].as_u64() {
        Some(0) => Ok(()),
        _ => bail!("{} of the moves failed", last["Failed"]),
    }
}

/// Has no further move begun.
async fn stop(manager: &Manager) -> anyhow::Result<()> {
    let answered = manager.ask(Method::POST, "/pool/rebalance?stop=1", None).await?;
    // A manager of an older version stops when nobody listens any more.
    if answered["Stopping"].is_null() {
        bail!("the moves under way go on, and no other is begun");
    }
    eprintln!("it ends after the moves under way; Ctrl-C again to wait for none");
    Ok(())
}

fn show(plan: &Value) -> anyhow::Result<()> {
    let rows = |key: &str| plan[key].as_array().cloned().unwrap_or_default();
    let mut shown = String::new();
    let moves = rows("Moves");
    if !moves.is_empty() {
        let mut table = plain(&["MOVE", "FROM", "TO", "HOW", "REASON"]);
        for one in &moves {
            let how = if one["StartFirst"] == true { "start first" } else { "stop first" };
            let cell = |key: &str| text(&one[key]);
            table.add_row([
                cell("Container"),
                cell("From"),
                cell("To"),
                how.to_owned(),
                cell("Reason"),
            ]);
        }
        shown = format!("{shown}{table}\n");
    }
    let kept = rows("Kept");
    if !kept.is_empty() {
        let mut table = plain(&["STAYS", "ON", "REASON"]);
        for one in &kept {
            table.add_row([text(&one["Container"]), text(&one["Node"]), text(&one["Reason"])]);
        }
        shown = format!("{shown}{table}\n");
    }
    print(&format!("{shown}{}\n", text(&plan["Note"])))
}

fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(header.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}
