//! From the start of the manager's process to all engines healthy and all containers
//! listed, over containers of others and over the manager's own.

use std::time::Duration;

use anyhow::Result;

use super::{Bench, Pool};
use crate::fleet_child::FleetChild;
use crate::manager::Manager;
use crate::report::{Row, Target};

/// Far beyond the target: a slow start shall be measured, not cut off.
const PATIENCE: Duration = Duration::from_mins(3);

/// Starts a fleet and a manager over it and reports how long that took.
pub async fn pool(
    bench: &mut Bench<'_>,
    engines: usize,
    manager_labels: bool,
    what: &str,
) -> Result<Pool> {
    let containers = engines * bench.options.containers;
    eprintln!("== start: {engines} engines, {containers} containers ({what})");
    let plan = bench.plan(engines, manager_labels);
    let fleet = FleetChild::start(plan).await?;
    let mut manager =
        Manager::start(&bench.binary, &fleet.discovery_url(), &bench.options.manager_flags)?;
    let ready = manager.ready(engines, containers, PATIENCE).await?;
    let cpu = manager.cpu()?.as_secs_f64();
    let fleet_cpu = fleet.cpu()?.as_secs_f64();
    let limit = if engines > bench.options.engines() { 30.0 } else { 10.0 };
    bench.row(
        Row::new(
            format!("start over {engines} engines, {} running of {containers} ({what}): healthy and listed", plan.running),
            ready.listed.as_secs_f64(),
            "s",
            Target::Below(limit),
        )
        .note(format!("all healthy after {:.2} s; {cpu:.1} s of CPU, the fleet {fleet_cpu:.1} s", ready.healthy.as_secs_f64())),
    );
    Ok(Pool { fleet, manager })
}

/// The start over containers that carry the manager's own label.
pub async fn with_own_labels(bench: &mut Bench<'_>) -> Result<()> {
    let pool = pool(bench, bench.options.engines(), true, "its own containers").await?;
    pool.stop().await
}
