//! The scenarios in their order, and the pool they share.
//!
//! A scenario that fails is reported and the others go on: one broken part must not
//! hide the figures of the rest.

mod create;
mod events;
mod floor;
mod idle;
mod kept;
mod large;
mod read;
mod silence;
mod start;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::cli::{Options, Part};
use crate::driver::{Client, Endpoint};
use crate::fleet_child::{FleetChild, Plan};
use crate::machine::Machine;
use crate::manager::{self, Manager};
use crate::report::{self, Row};

/// What the scenarios work with.
#[derive(Debug)]
pub struct Bench<'a> {
    pub options: &'a Options,
    pub binary: PathBuf,
    pub rows: Vec<Row>,
    pub failures: Vec<String>,
}

impl Bench<'_> {
    /// Notes a figure and shows it at once.
    pub fn row(&mut self, row: Row) {
        eprintln!("{}", row.line());
        self.rows.push(row);
    }

    /// The main fleet's plan: 29 of 30 containers run.
    pub fn plan(&self, engines: usize, manager_labels: bool) -> Plan {
        let total = engines * self.options.containers;
        Plan {
            engines,
            containers: self.options.containers,
            running: total - total / 30,
            manager_labels,
            place: self.options.place,
        }
    }

    fn settle(&mut self, name: &str, outcome: Result<()>) {
        if let Err(error) = outcome {
            eprintln!("FAIL  {name}: {error:#}");
            self.failures.push(format!("{name}: {error:#}"));
        }
    }
}

/// A fleet and the manager over it, both ready.
#[derive(Debug)]
pub struct Pool {
    pub fleet: FleetChild,
    pub manager: Manager,
}

impl Pool {
    /// Clean end, so that the next pool finds the addresses free.
    pub async fn stop(self) -> Result<()> {
        self.manager.stop().await;
        self.fleet.stop().await
    }
}

/// Runs what was asked for and prints the table.
pub async fn run(options: &Options) -> Result<()> {
    let deadline = Duration::from_secs(options.deadline);
    tokio::time::timeout(deadline, measure(options))
        .await
        .with_context(|| format!("not done within {deadline:?}"))?
}

async fn measure(options: &Options) -> Result<()> {
    if options.baseline {
        return baseline(options).await;
    }
    let binary = manager::binary(options.measured.manager.as_deref())?;
    let machine = Machine::observe(manager::version(&binary).await?);
    let mut bench = Bench { options, binary, rows: Vec::new(), failures: Vec::new() };
    let engines = options.engines();

    if options.wants(Part::Start) {
        let outcome = start::with_own_labels(&mut bench).await;
        bench.settle("start over its own containers", outcome);
    }
    let main = [Part::Start, Part::Idle, Part::Read, Part::Create, Part::Events, Part::Silence];
    if main.iter().any(|part| options.wants(*part)) {
        match start::pool(&mut bench, engines, false, "others' containers").await {
            Ok(mut pool) => {
                scenarios(&mut bench, &mut pool).await;
                let outcome = pool.stop().await;
                bench.settle("stop", outcome);
            }
            Err(error) => bench.settle("start", Err(error)),
        }
    }
    if options.wants(Part::Kept) {
        let outcome = kept::run(&mut bench).await;
        bench.settle("kept", outcome);
    }
    if options.wants(Part::Large) {
        let outcome = large::run(&mut bench).await;
        bench.settle("large", outcome);
    }

    let table = report::markdown(&bench.rows, &machine);
    println!("{table}");
    if let Some(path) = &options.measured.markdown {
        std::fs::write(path, &table)?;
    }
    if let Some(path) = &options.json {
        std::fs::write(path, report::as_json(&bench.rows, &machine).to_string())?;
    }
    if !bench.failures.is_empty() {
        bail!("{} failed:\n  {}", bench.failures.len(), bench.failures.join("\n  "));
    }
    Ok(())
}

async fn scenarios(bench: &mut Bench<'_>, pool: &mut Pool) {
    let wants = |part| bench.options.wants(part);
    let (idle, read, create) = (wants(Part::Idle), wants(Part::Read), wants(Part::Create));
    let (events, silence) = (wants(Part::Events), wants(Part::Silence));
    if idle {
        let outcome = idle::run(bench, pool).await;
        bench.settle("idle", outcome);
    }
    if read {
        let outcome = read::run(bench, pool).await;
        bench.settle("read", outcome);
    }
    if silence {
        let outcome = silence::run(bench, pool).await;
        bench.settle("silence", outcome);
    }
    if create {
        let outcome = create::run(bench, pool).await;
        bench.settle("create", outcome);
    }
    if events {
        let outcome = events::run(bench, pool).await;
        bench.settle("events", outcome);
    }
    let outcome = idle::peak(bench, pool);
    bench.settle("peak memory", outcome);
}

/// The driver against one simulated engine that holds all the containers: the floor
/// under every latency that the other scenarios report.
async fn baseline(options: &Options) -> Result<()> {
    let containers = options.engines() * options.containers;
    let machine = Machine::observe("none: one simulated engine".to_owned());
    let plan = Plan {
        engines: 1,
        containers,
        running: containers - containers / 30,
        manager_labels: false,
        place: options.place,
    };
    let fleet = FleetChild::start(plan).await?;
    let endpoint = Endpoint::Tcp(fleet.address(0));
    let mut bench =
        Bench { options, binary: PathBuf::new(), rows: Vec::new(), failures: Vec::new() };
    let mut client = Client::new(endpoint.clone());
    floor::run(&mut bench, containers).await?;
    read::latencies(&mut bench, &mut client, containers).await?;
    create::many(&mut bench, &endpoint, "baseline").await?;
    println!("{}", report::markdown(&bench.rows, &machine));
    Ok(())
}
