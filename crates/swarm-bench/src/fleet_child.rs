//! Starts the fleet as a process of its own and steers it over its control API.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Method;
use serde_json::Value;
use swarm_testkit::fleet::FleetConfig;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::driver::{Client, Endpoint};
use crate::procfs;

/// The fleet's process. Dropping it ends it: its standard input closes.
#[derive(Debug)]
pub struct FleetChild {
    child: Child,
    control: Client,
    pub engines: usize,
    base: Ipv4Addr,
    port: u16,
}

/// What the benchmark asks of a fleet.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub engines: usize,
    pub containers: usize,
    pub running: usize,
    pub manager_labels: bool,
    pub base: Ipv4Addr,
    pub port: u16,
}

impl FleetChild {
    /// Starts it; every engine listens when this returns.
    pub async fn start(plan: Plan) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("fleet");
        for (flag, value) in [
            ("--engines", plan.engines.to_string()),
            ("--containers", plan.containers.to_string()),
            ("--running", plan.running.to_string()),
            ("--base", plan.base.to_string()),
            ("--port", plan.port.to_string()),
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
        Ok(Self {
            child,
            control: Client::new(Endpoint::Tcp(control)),
            engines: plan.engines,
            base: plan.base,
            port: plan.port,
        })
    }

    /// CPU time the fleet has used.
    pub fn cpu(&self) -> Result<Duration> {
        procfs::cpu(self.child.id().context("the fleet has ended")?)
    }

    /// Ends it and waits until its addresses are free.
    pub async fn stop(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Address of engine `index`.
    pub fn address(&self, index: usize) -> SocketAddr {
        SocketAddr::from((FleetConfig::address_of(self.base, index), self.port))
    }

    /// The fleet as a discovery URL of ranges, `nodes://127.1.0.[1:250]:2375,…`.
    pub fn discovery_url(&self) -> String {
        let ranges: Vec<String> = (0..self.engines)
            .step_by(250)
            .map(|first| {
                let [a, b, c, d] = FleetConfig::address_of(self.base, first).octets();
                let last = usize::from(d) + 249.min(self.engines - first - 1);
                format!("{a}.{b}.{c}.[{d}:{last}]:{}", self.port)
            })
            .collect();
        format!("nodes://{}", ranges.join(","))
    }

    /// Everything the fleet counts.
    pub async fn stats(&mut self) -> Result<Value> {
        self.control.json("/stats").await
    }

    /// Requests it received since the last reset, all routes together.
    pub async fn requests(&mut self) -> Result<u64> {
        let stats = self.stats().await?;
        let routes = stats["requests"].as_object().context("no request counts")?;
        Ok(routes.values().filter_map(Value::as_u64).sum())
    }

    /// A control request by its path and query.
    pub async fn order(&mut self, path: &str) -> Result<Value> {
        let (status, body) = self.control.fetch(Method::POST, path, Bytes::new()).await?;
        ensure!(status.is_success(), "{path}: {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }
}
