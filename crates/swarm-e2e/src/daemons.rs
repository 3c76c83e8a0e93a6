//! `swarm daemon` on the hosts of a lab, and the plain client that talks to each.
//!
//! Leaves to the tests what happens to them when. Invariants: a daemon keeps its socket and its folder
//! over restarts; all are gone when this is dropped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use swarm_testkit::lab::{Daemon, Lab, until};
use tempfile::TempDir;

use crate::ask::ask;
use crate::binaries;
use crate::client::{Client, Ran};
use crate::labs::IMAGE;

/// For nodes to be what they should.
const PATIENCE: Duration = Duration::from_mins(1);

/// Daemons of one lab.
#[derive(Debug)]
pub struct Daemons<'l> {
    lab: &'l Lab,
    running: BTreeMap<u8, Daemon<'l>>,
    /// What a host's daemon is started as, where that is not the binary under test.
    binaries: BTreeMap<u8, PathBuf>,
    state: TempDir,
}

impl<'l> Daemons<'l> {
    /// Starts one on each of these hosts; they are in no swarm.
    pub fn start(lab: &'l Lab, hosts: &[u8]) -> Result<Self> {
        Self::start_as(binaries::swarm()?, lab, hosts)
    }

    fn start_as(binary: &Path, lab: &'l Lab, hosts: &[u8]) -> Result<Self> {
        let binaries = hosts.iter().map(|host| (*host, binary.to_owned())).collect();
        let mut this = Self { lab, running: BTreeMap::new(), binaries, state: TempDir::new()? };
        for host in hosts {
            this.launch(*host, &[])?;
        }
        Ok(this)
    }

    /// Starts them and makes them a swarm: the first `managers` of the hosts are managers.
    pub fn swarm(lab: &'l Lab, hosts: &[u8], managers: usize) -> Result<Self> {
        Self::swarm_as(binaries::swarm()?, lab, hosts, managers)
    }

    /// The same of another binary.
    pub fn swarm_as(binary: &Path, lab: &'l Lab, hosts: &[u8], managers: usize) -> Result<Self> {
        let this = Self::start_as(binary, lab, hosts)?;
        let Some((first, others)) = hosts.split_first() else { bail!("a swarm has a host") };
        this.docker(*first, &["swarm", "init", "--advertise-addr", &lab.ip(*first)]).ok()?;
        for (at, host) in others.iter().enumerate() {
            let role = if at + 1 < managers { "manager" } else { "worker" };
            this.join(*host, *first, role)?.ok()?;
        }
        this.ready(*first, hosts.len())?;
        Ok(this)
    }

    /// `docker swarm join` of `host` through the manager `by`.
    pub fn join(&self, host: u8, by: u8, role: &str) -> Result<Ran> {
        let token = self.docker(by, &["swarm", "join-token", "--quiet", role]).ok()?;
        let (manager, own) = (format!("{}:2377", self.lab.ip(by)), self.lab.ip(host));
        let arguments = ["swarm", "join", "--advertise-addr", &own, "--token", &token, &manager];
        Ok(self.docker(host, &arguments))
    }

    /// Waits until `count` nodes are ready, as the manager `by` sees them.
    pub fn ready(&self, by: u8, count: usize) -> Result<()> {
        until(PATIENCE, format_args!("{count} nodes are ready"), || {
            let listed = self.docker(by, &["node", "ls", "--format", "{{.Status}}"]).ok();
            // Managers may be about to find each other.
            let Ok(listed) = listed else { return Ok(None) };
            Ok((listed.lines().filter(|line| *line == "Ready").count() == count).then_some(()))
        })
        .with_context(|| self.logs())
    }

    /// Starts the daemon of a host, with the data it had, and waits until it answers.
    pub fn launch(&mut self, host: u8, more: &[&str]) -> Result<()> {
        self.launch_with(host, more, &[])
    }

    /// As [`Daemons::launch`], with these variables.
    pub fn launch_with(
        &mut self,
        host: u8,
        more: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<()> {
        let folder = self.folder(host);
        let binary = match self.binaries.get(&host) {
            Some(binary) => binary,
            None => binaries::swarm()?,
        };
        let daemon = self.lab.daemon_with(host, binary, &folder, more, variables)?;
        self.running.insert(host, daemon);
        Ok(())
    }

    /// What a host's daemon is started as from now on.
    pub fn becomes(&mut self, host: u8, binary: &Path) {
        self.binaries.insert(host, binary.to_owned());
    }

    /// Where they run.
    pub fn lab(&self) -> &'l Lab {
        self.lab
    }

    /// The folder of a host's daemon.
    pub fn folder(&self, host: u8) -> PathBuf {
        self.state.path().join(format!("h{host}"))
    }

    /// The socket of a host's daemon.
    pub fn sock(&self, host: u8) -> PathBuf {
        self.folder(host).join("docker.sock")
    }

    /// The plain client of a host's daemon.
    pub fn client(&self, host: u8) -> Client {
        Client::new("docker", &format!("unix://{}", self.sock(host).display()))
    }

    /// Runs `docker` with a host's daemon.
    pub fn docker(&self, host: u8, arguments: &[&str]) -> Ran {
        self.client(host).run(arguments)
    }

    /// `GET /info` of a host's node endpoint.
    pub fn info(&self, host: u8) -> Result<serde_json::Value> {
        Ok(ask(&self.sock(host), "GET", "/info", "")?.json())
    }

    /// `docker node` with something that changes a node. The client reads the node and writes it back; what the node
    /// says of itself between the two makes that out of sequence, as with Docker's own, and is tried again.
    pub fn node(&self, by: u8, change: &[&str]) -> Result<()> {
        until(PATIENCE, format_args!("docker node {}", change.join(" ")), || {
            let ran = self.docker(by, &[&["node"], change].concat()).output()?;
            let told = String::from_utf8_lossy(&ran.stderr);
            ensure!(ran.status.success() || told.contains("update out of sequence"), "{told}");
            Ok(ran.status.success().then_some(()))
        })
    }

    /// A service with one container on each node, which ends at once when it is told to.
    pub fn everywhere(&self, by: u8, name: &str) -> Result<()> {
        let create = ["service", "create", "--name", name, "--mode", "global"];
        let sleep = ["--stop-signal", "KILL", IMAGE, "sleep", "1d"];
        self.docker(by, &[&create[..], &sleep].concat()).ok().map(drop)
    }

    /// Runs `docker` with a host's own engine.
    pub fn engine(&self, host: u8, arguments: &[&str]) -> Ran {
        let socket = format!("unix://{}", self.lab.sock(host).display());
        Client::new("docker", &socket).run(arguments)
    }

    /// All that the daemons said.
    pub fn logs(&self) -> String {
        self.running.values().map(Daemon::log).collect::<Vec<_>>().join("\n")
    }

    /// Sends the daemon of a host a signal (`STOP`, `CONT`).
    pub fn signal(&self, host: u8, signal: &str) -> Result<()> {
        self.running.get(&host).context("none runs there")?.signal(signal)
    }

    /// SIGKILL; containers go on.
    pub fn kill(&mut self, host: u8) -> Result<()> {
        self.running.remove(&host).context("none runs there")?.kill()
    }

    /// Asks it to end in order.
    pub fn stop(&mut self, host: u8) -> Result<()> {
        self.running.remove(&host).context("none runs there")?.stop()
    }

    /// Cuts the host's power: silence. [`Lab::start`] and [`Daemons::launch`] bring it back.
    pub fn power_cut(&mut self, host: u8) -> Result<()> {
        self.lab.kill(host)?;
        self.running.remove(&host).context("none runs there")?.wait_end().map(drop)
    }
}
