//! What is shown: a manager over a fleet of simulated engines, or a filled store; each a process of its own,
//! whose CPU and memory are counted.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Method;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::cli::{PageKind, PageOptions};
use crate::driver::Client;
use crate::fleet_child::{FleetChild, Plan};
use crate::manager::{self, Manager};
use crate::procfs;

/// For what has to come at all.
const PATIENCE: Duration = Duration::from_mins(5);

/// See the module. Its processes end when it is dropped.
pub struct Subject {
    page: SocketAddr,
    inside: Inside,
}

enum Inside {
    Pool { fleet: FleetChild, manager: Manager, client: Client, containers: Vec<String> },
    Swarm { child: Child, orders: ChildStdin, answers: Lines<BufReader<ChildStdout>> },
}

impl Subject {
    /// Returns when the page answers, and there is all that is to be shown.
    pub async fn start(options: &PageOptions) -> Result<Self> {
        match options.kind {
            PageKind::Pool => Self::pool(options).await,
            PageKind::Swarm => Self::swarm(options).await,
        }
    }

    async fn pool(options: &PageOptions) -> Result<Self> {
        let plan = Plan {
            engines: options.size.nodes,
            containers: options.per_node(),
            running: options.tiles(),
            manager_labels: false,
            place: options.place,
        };
        let fleet = FleetChild::start(plan).await?;
        let page = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let flags = ["--ui".to_owned(), page.to_string()];
        let mut manager = Manager::start(
            &manager::binary(options.measured.manager.as_deref())?,
            &fleet.discovery_url(),
            &flags,
        )?;
        manager.ready(options.size.nodes, options.tiles(), PATIENCE).await?;
        let mut client = manager.client();
        let list = client.json("/containers/json").await?;
        let ids = list.as_array().into_iter().flatten().filter_map(|one| one["Id"].as_str());
        let containers = ids.map(str::to_owned).collect();
        Ok(Self { page, inside: Inside::Pool { fleet, manager, client, containers } })
    }

    async fn swarm(options: &PageOptions) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["swarm", "--nodes", &options.size.nodes.to_string()])
            .args(["--services", &options.size.services.to_string()])
            .args(["--tasks", &options.tiles().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the filled store")?;
        let orders = child.stdin.take().context("it takes no orders")?;
        let answers = BufReader::new(child.stdout.take().context("it says nothing")?).lines();
        let mut inside = Inside::Swarm { child, orders, answers };
        let hello = inside.heard().await?;
        let page = hello["page"].as_str().context("no page's address")?.parse()?;
        Ok(Self { page, inside })
    }

    /// Where the page is.
    pub fn address(&self) -> SocketAddr {
        self.page
    }

    /// The same for a browser.
    pub fn url(&self) -> String {
        format!("http://{}/", self.page)
    }

    /// Changes tiles for so many seconds, `rate` in each.
    pub async fn change(&mut self, rate: u32, seconds: u64) -> Result<()> {
        match &mut self.inside {
            Inside::Swarm { orders, .. } => {
                orders.write_all(format!("change {rate} {seconds}\n").as_bytes()).await?;
                self.inside.heard().await.map(drop)
            }
            Inside::Pool { client, containers, .. } => {
                ensure!(!containers.is_empty(), "there is nothing that could change");
                let mut pace = interval(Duration::from_secs(1) / rate.max(1));
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let count = usize::try_from(u64::from(rate) * seconds)?;
                for number in 0..count {
                    pace.tick().await;
                    let verb = if number % 2 == 0 { "kill" } else { "start" };
                    // A step that meets each of them once in a round.
                    let id = &containers[(number / 2).wrapping_mul(7919) % containers.len()];
                    let path = format!("/containers/{id}/{verb}");
                    let (status, body) = client.fetch(Method::POST, &path, Bytes::new()).await?;
                    let said = String::from_utf8_lossy(&body);
                    ensure!(status.is_success(), "{path}: {status}: {said}");
                }
                Ok(())
            }
        }
    }

    /// What its process takes of a processor, in percent, while `rate` tiles change per second.
    pub async fn cpu_over(&mut self, seconds: u64, rate: u32) -> Result<f64> {
        let before = self.cpu()?;
        if rate > 0 {
            self.change(rate, seconds).await?;
        } else {
            sleep(Duration::from_secs(seconds)).await;
        }
        let used = self.cpu()?.saturating_sub(before).as_secs_f64();
        Ok(used / Duration::from_secs(seconds).as_secs_f64() * 100.0)
    }

    fn cpu(&self) -> Result<Duration> {
        match &self.inside {
            Inside::Pool { manager, .. } => manager.cpu(),
            Inside::Swarm { child, .. } => procfs::cpu(child.id().context("it ended")?),
        }
    }

    /// Resident, MiB.
    pub fn memory(&self) -> Result<f64> {
        let memory = match &self.inside {
            Inside::Pool { manager, .. } => manager.memory()?,
            Inside::Swarm { child, .. } => procfs::memory(child.id().context("it ended")?)?,
        };
        Ok(f64::from(u32::try_from(memory.rss >> 10)?) / 1024.0)
    }

    /// Ends it in order.
    pub async fn stop(self) -> Result<()> {
        match self.inside {
            Inside::Pool { fleet, manager, .. } => {
                manager.stop().await;
                fleet.stop().await
            }
            Inside::Swarm { mut child, .. } => child.kill().await.context("it does not end"),
        }
    }
}

impl Inside {
    /// The next line that the filled store's process says.
    async fn heard(&mut self) -> Result<Value> {
        let Self::Swarm { answers, .. } = self else { return Ok(Value::Null) };
        let line = timeout(PATIENCE, answers.next_line()).await;
        let line = line.context("it says nothing")??.context("it ended")?;
        Ok(serde_json::from_str(&line)?)
    }
}
