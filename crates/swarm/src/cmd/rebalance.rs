//! `swarm rebalance`: the manager's plan to even the pool out, and with `--apply` how each move went.

use anyhow::bail;
use comfy_table::{Table, presets};
use http::Method;
use serde_json::Value;
use swarm_docker::json::text;

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
    let Some(plan) = lines.next().await? else { bail!("the manager answered nothing") };
    show(&plan)?;
    if !apply {
        if plan["Moves"].as_array().is_some_and(|moves| !moves.is_empty()) {
            print("nothing was moved; --apply moves\n")?;
        }
        return Ok(());
    }
    let mut last = Value::Null;
    while let Some(line) = lines.next().await? {
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
        bail!("{}", text(&last["Error"]));
    }
    match last["Failed"].as_u64() {
        Some(0) => Ok(()),
        _ => bail!("{} of the moves failed", last["Failed"]),
    }
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
