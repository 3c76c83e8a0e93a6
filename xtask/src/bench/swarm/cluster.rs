//! Five hosts, and one of the two kinds of swarm on them: asked in Docker's API, by the socket of the
//! daemon that has the swarm.
//!
//! Invariant: both sides are asked in the same words and looked at in the same intervals, since
//! looking costs their managers time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use swarm_testkit::lab::{Daemon, Lab, ask};

use super::{Figures, HOSTS};

/// For one request.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// For whatever is waited for; the slowest known is a leader's tasks, with a minute.
pub const LONG: Duration = Duration::from_mins(4);

/// Whose swarm mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Side {
    /// `swarm daemon` beside the engine
    Ours,
    /// The engine's own
    Dockers,
}

impl Side {
    /// For a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "swarm daemon",
            Self::Dockers => "Docker's swarm mode",
        }
    }
}

/// A swarm: host 1 manages, the others work.
pub struct Cluster<'l> {
    pub lab: &'l Lab,
    pub side: Side,
    /// The name of the swarm binary, whatever it was called.
    pub program: String,
    /// The swarm binary.
    swarm: PathBuf,
    daemons: Vec<Daemon<'l>>,
}

impl<'l> Cluster<'l> {
    /// Forms it; how long that took is among the figures.
    pub fn form(lab: &'l Lab, side: Side, swarm: &Path, figures: &mut Figures) -> Result<Self> {
        let name = swarm.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let swarm = swarm.to_owned();
        let mut cluster = Self { lab, side, program: name, swarm, daemons: Vec::new() };
        if side == Side::Ours {
            for i in 1..=HOSTS {
                cluster.daemons.push(cluster.launch(i)?);
            }
        }
        let begun = Instant::now();
        let first = lab.ip(1);
        let begin = json!({ "ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": first });
        cluster.post(1, "/swarm/init", &begin)?;
        let token = cluster.get(1, "/swarm")?["JoinTokens"]["Worker"].clone();
        for i in 2..=HOSTS {
            let join = json!({ "ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": lab.ip(i),
                "RemoteAddrs": [format!("{first}:2377")], "JoinToken": token });
            cluster.post(i, "/swarm/join", &join)?;
        }
        cluster.until("all nodes are ready", || {
            let nodes = cluster.get(1, "/nodes")?;
            let ready = each(&nodes).filter(|node| node["Status"]["State"] == "ready").count();
            Ok((ready == usize::from(HOSTS)).then_some(()))
        })?;
        figures.insert("form", begun.elapsed().as_secs_f64());
        Ok(cluster)
    }

    fn launch(&self, host: u8) -> Result<Daemon<'l>> {
        let folder = self.lab.dir().join("daemons").join(format!("h{host}"));
        self.lab.daemon(host, &self.swarm, &folder, &[])
    }

    /// Boots a host again that lost its power.
    pub fn revive(&mut self, host: u8) -> Result<()> {
        self.lab.start(host)?;
        if self.side == Side::Ours {
            let daemon = self.launch(host)?;
            if let Some(place) = self.daemons.get_mut(usize::from(host - 1)) {
                *place = daemon;
            }
        }
        Ok(())
    }

    /// The socket that has the swarm on a host.
    pub fn sock(&self, host: u8) -> PathBuf {
        match self.daemons.get(usize::from(host - 1)) {
            Some(daemon) => daemon.sock().to_owned(),
            None => self.lab.sock(host),
        }
    }

    /// `GET path`.
    pub fn get(&self, host: u8, path: &str) -> Result<Value> {
        self.ask(host, "GET", path, &Value::Null)
    }

    /// `POST path` with a document.
    pub fn post(&self, host: u8, path: &str, document: &Value) -> Result<Value> {
        self.ask(host, "POST", path, document)
    }

    /// Any request; an empty answer is null.
    pub fn ask(&self, host: u8, method: &str, path: &str, document: &Value) -> Result<Value> {
        let asked = ask(&self.sock(host), method, path, document, PATIENCE)?;
        let body = asked.ok().with_context(|| format!("{method} {path} on host {host}"))?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// Looks until there is an answer.
    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(answer) = look()? {
                return Ok(answer);
            }
            if begun.elapsed() > LONG {
                bail!("{}: {what}: not within {} s", self.side.name(), LONG.as_secs());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The id of a host's node.
    pub fn node(&self, by: u8, host: u8) -> Result<String> {
        let (nodes, name) = (self.get(by, "/nodes")?, self.lab.hostname(host));
        let node = each(&nodes).find(|node| node["Description"]["Hostname"] == *name);
        let id = node.and_then(|node| node["ID"].as_str());
        Ok(id.with_context(|| format!("no node {name}"))?.to_owned())
    }

    /// What our daemons said, for an error that has to explain itself.
    pub fn logs(&self) -> String {
        self.daemons.iter().map(Daemon::log).collect::<Vec<_>>().join("\n")
    }
}

/// The items of a list.
pub fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
