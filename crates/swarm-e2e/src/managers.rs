//! Three managers of one pool that keep its store themselves, each a process that can be killed,
//! stopped in its tracks, asked to end, and started again on the data it had.
//!
//! Leaves to the tests what happens to them when. Invariants: a manager keeps its address, its
//! socket and its data folder over restarts; all are gone when this is dropped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::Value;
use swarm_testkit::lab::{Lab, until};
use tempfile::TempDir;

use crate::ask::ask_within;
use crate::binaries;
use crate::pool::Pool;

/// For managers to find each other and to look at every engine.
const LONG: Duration = Duration::from_mins(1);
/// For a manager to tell its role: one that is stopped in its tracks does not.
const GLANCE: Duration = Duration::from_secs(2);

/// Three managers.
#[derive(Debug)]
pub struct Managers<'l> {
    lab: &'l Lab,
    arguments: Vec<Vec<String>>,
    places: [u8; 3],
    /// What each is started as.
    binaries: [PathBuf; 3],
    pools: Vec<Option<Pool>>,
    state: TempDir,
}

impl<'l> Managers<'l> {
    /// Starts them in the networks of the hosts `places` (0: the fabric's) over the engines
    /// 1..=`engines`, and waits until each has found all of them healthy.
    pub fn start(lab: &'l Lab, places: [u8; 3], engines: u8, more: &[&str]) -> Result<Self> {
        let this =
            Self::start_as(binaries::swarm()?, lab, places, Some(&lab.nodes(engines)), more)?;
        for pool in this.pools.iter().flatten() {
            pool.manager().wait_healthy(usize::from(engines), LONG)?;
        }
        Ok(this)
    }

    /// Starts them as this binary, over the engines that `discovery` names, or else those whose agents are in their
    /// store; waits for none of them.
    pub fn start_as(
        binary: &Path,
        lab: &'l Lab,
        places: [u8; 3],
        discovery: Option<&str>,
        more: &[&str],
    ) -> Result<Self> {
        let state = TempDir::new()?;
        let first = format!("{}:3001", lab.ip(places[0]));
        let token = state.path().join("m1/join-token.manager");
        let mut arguments = Vec::new();
        for (place, i) in places.iter().zip(1..=3_u16) {
            let address = lab.ip(*place);
            let (listen, api) =
                (format!("{address}:{}", 3000 + i), format!("{address}:{}", 4000 + i));
            let (host, folder) = (format!("tcp://{api}"), state.path().join(format!("m{i}")));
            let (folder, token) = (folder.display().to_string(), token.display().to_string());
            let mut own = vec!["--host", &host, "--data-dir", &folder, "--store-listen", &listen];
            own.extend(["--replication", "--replication-ttl", "4s", "--advertise", &api]);
            own.extend(more);
            if i > 1 {
                own.extend(["--store-join", &first, "--store-token-file", &token]);
            }
            own.extend(discovery);
            arguments.push(own.into_iter().map(str::to_owned).collect());
        }
        let binaries = [binary.to_owned(), binary.to_owned(), binary.to_owned()];
        let mut this = Self { lab, arguments, places, binaries, pools: Vec::new(), state };
        for i in 0..3 {
            let pool = this.launch(i)?;
            this.pools.push(Some(pool));
            until(LONG, "the token is there", || Ok(token.exists().then_some(())))?;
        }
        Ok(this)
    }

    fn launch(&self, i: usize) -> Result<Pool> {
        let arguments: Vec<&str> = self.arguments[i].iter().map(String::as_str).collect();
        let name = format!("three-{}", i + 1);
        Pool::launch_as(&self.binaries[i], self.lab, self.places[i], &name, &arguments)
    }

    /// What manager `i` is started as from now on.
    pub fn becomes(&mut self, i: usize, binary: &Path) {
        binary.clone_into(&mut self.binaries[i]);
    }

    /// The file of the token with which a `manager` or a `node` comes in.
    pub fn token(&self, role: &str) -> PathBuf {
        self.state.path().join("m1").join(format!("join-token.{role}"))
    }

    /// Where the managers' store is reached: `HOST:PORT,…`.
    pub fn stores(&self) -> String {
        let place = |(i, host): (usize, &u8)| format!("{}:{}", self.lab.ip(*host), 3001 + i);
        self.places.iter().enumerate().map(place).collect::<Vec<_>>().join(",")
    }

    /// The lab they are in.
    pub fn lab(&self) -> &'l Lab {
        self.lab
    }

    /// The host in whose network manager `i` is.
    pub fn place(&self, i: usize) -> u8 {
        self.places[i]
    }

    /// Manager `i`, which must be running.
    pub fn pool(&self, i: usize) -> Result<&Pool> {
        self.pools[i].as_ref().with_context(|| format!("manager {} does not run", i + 1))
    }

    /// Does manager `i` run, perhaps stopped in its tracks?
    pub fn runs(&self, i: usize) -> bool {
        self.pools[i].is_some()
    }

    /// Where the managers listen, running or not.
    pub fn socks(&self) -> Vec<PathBuf> {
        let dir = self.lab.dir().join("managers");
        (1..=3).map(|i| dir.join(format!("three-{i}.sock"))).collect()
    }

    /// What each has logged, over all its restarts and, in one lab, all its predecessors.
    pub fn logs(&self) -> Vec<String> {
        let read = |sock: PathBuf| std::fs::read(sock.with_extension("log")).unwrap_or_default();
        let logs = self.socks().into_iter().map(read);
        logs.map(|log| String::from_utf8_lossy(&log).into_owned()).collect()
    }

    /// SIGKILL.
    pub fn kill(&mut self, i: usize) -> Result<()> {
        if let Some(mut pool) = self.pools[i].take() {
            pool.manager_mut().kill()?;
        }
        Ok(())
    }

    /// Asks it to end, and waits for that.
    pub fn stop(&mut self, i: usize) -> Result<()> {
        if let Some(mut pool) = self.pools[i].take() {
            pool.manager_mut().stop()?;
        }
        Ok(())
    }

    /// Starts it again on its data, and waits until it answers.
    pub fn restart(&mut self, i: usize) -> Result<()> {
        if self.pools[i].is_none() {
            self.pools[i] = Some(self.launch(i)?);
        }
        Ok(())
    }

    /// Stops it in its tracks.
    pub fn pause(&self, i: usize) -> Result<()> {
        self.pool(i)?.manager().signal(Signal::SIGSTOP)
    }

    /// Lets it go on.
    pub fn resume(&self, i: usize) -> Result<()> {
        self.pool(i)?.manager().signal(Signal::SIGCONT)
    }

    /// What it says it is: `primary`, `replica`, or nothing.
    pub fn role(&self, i: usize) -> Result<String> {
        let sock = self.pool(i)?.manager().sock();
        Ok(role(&ask_within(GLANCE, sock, "GET", "/info", "")?.json()))
    }

    /// Which of `among` is the primary now.
    pub fn primary_now(&self, among: &[usize]) -> Option<usize> {
        among.iter().copied().find(|i| self.role(*i).is_ok_and(|role| role == "primary"))
    }

    /// Waits until one of `among` is the primary.
    pub fn primary(&self, among: &[usize]) -> Result<usize> {
        until(LONG, "there is a primary", || Ok(self.primary_now(among)))
    }
}

impl Drop for Managers<'_> {
    fn drop(&mut self) {
        for pool in self.pools.iter().flatten() {
            // One that is stopped in its tracks does not hear that it is to end.
            let _ = pool.manager().signal(Signal::SIGCONT);
        }
    }
}

/// The row `Role` of `/info`.
fn role(info: &Value) -> String {
    let rows = info["SystemStatus"].as_array().cloned().unwrap_or_default();
    let role = rows.iter().find(|row| row[0] == "Role").and_then(|row| row[1].as_str());
    role.unwrap_or_default().to_owned()
}
