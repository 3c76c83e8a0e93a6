//! Starts the fleet as processes of its own and steers them over their control API.
//!
//! One process takes up to 2,000 engines: where open files are limited to 20,000, that
//! leaves each engine its listener and nine connections.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value};
use swarm_testkit::fleet::FleetConfig;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::cli::Place;
use crate::driver::{Client, Endpoint};
use crate::procfs;

/// Engines of one process; see the module's words.
const PART: usize = 2000;

/// What the benchmark asks of a fleet.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub engines: usize,
    pub containers: usize,
    pub running: usize,
    pub manager_labels: bool,
    pub place: Place,
}

/// The fleet's processes. They end when this is dropped: their standard input closes.
#[derive(Debug)]
pub struct FleetChild {
    parts: Vec<Part>,
    plan: Plan,
}

#[derive(Debug)]
struct Part {
    child: Child,
    control: Client,
}

/// What the fleet counts.
#[derive(Debug, Default)]
pub struct Stats {
    pub containers: u64,
    /// Requests since the last reset by route.
    pub requests: Map<String, Value>,
}

impl FleetChild {
    /// Starts it; every engine listens when this returns.
    pub async fn start(plan: Plan) -> Result<Self> {
        let mut parts = Vec::new();
        for first in (0..plan.engines).step_by(PART) {
            parts.push(Part::start(plan, first).await?);
        }
        Ok(Self { parts, plan })
    }

    pub fn engines(&self) -> usize {
        self.plan.engines
    }

    /// Address of engine `index`.
    pub fn address(&self, index: usize) -> SocketAddr {
        SocketAddr::from((
            FleetConfig::address_of(self.plan.place.base, index),
            self.plan.place.port,
        ))
    }

    /// The fleet as a discovery URL of ranges, `nodes://127.1.0.[1:250]:2375,…`.
    pub fn discovery_url(&self) -> String {
        let ranges: Vec<String> = (0..self.plan.engines)
            .step_by(250)
            .map(|first| {
                let [a, b, c, d] = FleetConfig::address_of(self.plan.place.base, first).octets();
                let last = usize::from(d) + 249.min(self.plan.engines - first - 1);
                format!("{a}.{b}.{c}.[{d}:{last}]:{}", self.plan.place.port)
            })
            .collect();
        format!("nodes://{}", ranges.join(","))
    }

    /// Everything it counts, over all its processes.
    pub async fn stats(&mut self) -> Result<Stats> {
        let mut sum = Stats::default();
        for part in &mut self.parts {
            let stats = part.control.json("/stats").await?;
            sum.containers += stats["containers"].as_u64().unwrap_or(0);
            for (route, count) in stats["requests"].as_object().into_iter().flatten() {
                let before = sum.requests.get(route).and_then(Value::as_u64).unwrap_or(0);
                let count = before + count.as_u64().unwrap_or(0);
                sum.requests.insert(route.clone(), Value::from(count));
            }
        }
        Ok(sum)
    }

    /// Forgets the request counts.
    pub async fn reset(&mut self) -> Result<()> {
        for part in &mut self.parts {
            part.order("/reset").await?;
        }
        Ok(())
    }

    /// Sets a fault of engine `index`: `silent`, `none`, …
    pub async fn fault(&mut self, index: usize, fault: &str) -> Result<()> {
        let part = self.parts.get_mut(index / PART).context("no such engine")?;
        part.order(&format!("/fault?n={}&fault={fault}", index % PART)).await.map(drop)
    }

    /// Emits `count` events at `rate` per second, numbered from 0; returns when they are
    /// out, with the seconds that took. Only for a fleet of one process: several would
    /// not keep one pace.
    pub async fn emit(&mut self, count: usize, rate: usize) -> Result<f64> {
        ensure!(self.parts.len() == 1, "events come from a fleet of at most {PART} engines");
        let path = format!("/emit?first=0&count={count}&rate={rate}");
        self.parts[0].order(&path).await?["seconds"].as_f64().context("no time of emission")
    }

    /// CPU time the fleet has used.
    pub fn cpu(&self) -> Result<Duration> {
        let each = |part: &Part| procfs::cpu(part.child.id().context("the fleet has ended")?);
        self.parts.iter().map(each).sum()
    }

    /// Ends it and waits until its addresses are free.
    pub async fn stop(mut self) -> Result<()> {
        for part in &mut self.parts {
            part.child.kill().await?;
        }
        Ok(())
    }
}

impl Part {
    async fn start(plan: Plan, first: usize) -> Result<Self> {
        let engines = PART.min(plan.engines - first);
        let running = plan.running * engines / plan.engines;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("fleet");
        for (flag, value) in [
            ("--engines", engines.to_string()),
            ("--first", first.to_string()),
            ("--containers", plan.containers.to_string()),
            ("--running", running.to_string()),
            ("--base", plan.place.base.to_string()),
            ("--port", plan.place.port.to_string()),
        ] {
            command.arg(flag).arg(value);
        }
        if plan.manager_labels {
            command.arg("--manager-labels");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the fleet")?;
        let stdout = child.stdout.take().context("the fleet has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(Duration::from_mins(1), lines.next_line())
            .await
            .context("the fleet does not come up")??
            .context("the fleet ended at once")?;
        let hello: Value = serde_json::from_str(&line)?;
        let control: SocketAddr =
            hello["control"].as_str().context("no control address")?.parse()?;
        Ok(Self { child, control: Client::new(Endpoint::Tcp(control)) })
    }

    /// A control request by its path and query.
    async fn order(&mut self, path: &str) -> Result<Value> {
        let (status, body) = self.control.fetch(Method::POST, path, Bytes::new()).await?;
        ensure!(status.is_success(), "{path}: {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }
}
