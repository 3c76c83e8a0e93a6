//! A pool whose discovery is a real store, which runs beside the managers in the fabric, and the
//! agents that register the lab's engines in it.
//!
//! Invariant: what is read of the store here is read by its own tools.

use std::time::{Duration, Instant};

use anyhow::Result;
use swarm_testkit::lab::{Lab, run, until};
use swarm_testkit::stores::{AnyStore, Kind};

use crate::binaries;
use crate::pool::Pool;
use crate::watch::Watch;

/// Far more than a registration takes.
const SOON: Duration = Duration::from_secs(30);

/// A running store, and where the pool is in it.
#[derive(Debug)]
pub struct Stored<'a> {
    lab: &'a Lab,
    store: AnyStore,
    url: String,
}

impl<'a> Stored<'a> {
    /// What registrations and locks are asked for; see [`Stored::kept`].
    pub const TTL: Duration = Duration::from_secs(3);

    /// Starts a store of that kind.
    pub fn start(lab: &'a Lab, kind: Kind) -> Result<Self> {
        let store = lab.inside(0, || AnyStore::start(kind))?;
        let url = store.url("pool");
        Ok(Self { lab, store, url })
    }

    /// For how long the store keeps what is asked for [`Stored::TTL`].
    pub fn kept(&self) -> Duration {
        self.store.keeps(Self::TTL)
    }

    /// What `swarm` takes as DISCOVERY.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `HOST:PORT` of an engine.
    pub fn engine(&self, host: u8) -> String {
        format!("{}:2375", self.lab.ip(host))
    }

    /// `swarm join` for a host's engine, registered.
    pub fn join(&self, host: u8) -> Result<Watch> {
        let mut command = self.lab.fabric_command(&binaries::swarm()?.display().to_string());
        let ttl = format!("{}s", Self::TTL.as_secs());
        command.args(["join", "--advertise", &self.engine(host)]);
        command.args(["--heartbeat", "1s", "--ttl", &ttl, &self.url]);
        let agent = Watch::start(command)?;
        agent.wait_for(" registered ", SOON)?;
        Ok(agent)
    }

    /// What `swarm list` prints.
    pub fn list(&self) -> Result<Vec<String>> {
        let mut command = self.lab.fabric_command(&binaries::swarm()?.display().to_string());
        let output = run(command.args(["list", &self.url]))?;
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    }

    /// The engines at `<prefix>/docker/swarm/nodes`, by the store's own tools.
    pub fn nodes(&self) -> Result<Vec<String>> {
        self.lab.inside(0, || self.store.names("pool/docker/swarm/nodes"))
    }

    /// `swarm manage` over it, with more arguments.
    pub fn manage(&self, arguments: &[&str]) -> Result<Pool> {
        Pool::launch(self.lab, &[arguments, &[&self.url]].concat())
    }

    /// The store ends, as for good.
    pub fn stop(&mut self) -> Result<()> {
        let lab = self.lab;
        lab.inside(0, || self.store.server().stop())
    }

    /// It is started again with its data, and serves.
    pub fn restart(&mut self) -> Result<()> {
        let lab = self.lab;
        lab.inside(0, || self.store.restart())
    }

    /// Waits until `swarm list` prints exactly these hosts' engines; how long that took.
    pub fn lists(&self, hosts: &[u8], limit: Duration) -> Result<Duration> {
        let begun = Instant::now();
        let mut wanted: Vec<_> = hosts.iter().map(|host| self.engine(*host)).collect();
        wanted.sort();
        until(limit, format_args!("`swarm list` prints {wanted:?}"), || {
            let mut listed = self.list()?;
            listed.sort();
            Ok((listed == wanted).then_some(()))
        })?;
        Ok(begun.elapsed())
    }
}
