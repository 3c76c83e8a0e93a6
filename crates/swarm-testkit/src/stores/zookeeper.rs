//! Real ZooKeeper servers for tests: one, or an ensemble of several.
//!
//! It leaves the ways a process fails to [`Server`]. `cargo xtask setup` installs the packages.
//! Invariant: `start` and `restart` return when the server asked serves clients.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Server;
use super::cluster::Cluster;

/// How long a server, or an ensemble's election, may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const CLIENTS: u16 = 2181;
const FOLLOWERS: u16 = 2888;
const ELECTION: u16 = 3888;
/// What the program is in; each names the archives it needs itself.
const ARCHIVES: [&str; 2] = ["/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar"];

/// How the servers are to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many there are; an ensemble is of three or more.
    pub servers: u8,
    /// ZooKeeper's unit of time: sessions last from 2 to 20 of it.
    pub tick: Duration,
    /// Lines of ZooKeeper's own that are added to each server's configuration.
    pub more: &'static str,
}

impl Default for Config {
    fn default() -> Self {
        Self { servers: 1, tick: Duration::from_secs(2), more: "" }
    }
}

/// Running servers, which end with this value.
#[derive(Debug)]
pub struct ZooKeeperServer {
    config: Config,
    cluster: Cluster,
}

impl ZooKeeperServer {
    /// Starts servers, and waits until they serve.
    pub fn start(config: Config) -> Result<Self> {
        for archive in ARCHIVES {
            if !Path::new(archive).exists() {
                bail!("no {archive}; `cargo xtask setup` installs it");
            }
        }
        let cluster = Cluster::new("zookeeper", config.servers)?;
        let mut servers = Self { config, cluster };
        let all = 0..servers.cluster.nodes().len();
        all.clone().try_for_each(|number| servers.launch(number))?;
        all.clone().try_for_each(|number| servers.wait(number))?;
        Ok(servers)
    }

    /// `HOST:PORT` where clients reach one of them.
    pub fn address(&self, number: usize) -> String {
        format!("{}:{CLIENTS}", self.cluster.node(number).address)
    }

    /// The discovery URL that names all of them.
    pub fn url(&self, prefix: &str) -> String {
        format!("zk://{}/{prefix}", self.cluster.hosts(CLIENTS))
    }

    /// One of the processes.
    pub fn server(&mut self, number: usize) -> &mut Server {
        &mut self.cluster.node_mut(number).server
    }

    /// Starts one that has ended again, with its data, and waits until it serves.
    pub fn restart(&mut self, number: usize) -> Result<()> {
        self.launch(number)?;
        self.wait(number)
    }

    /// Starts one that has ended again, and does not wait.
    pub fn launch(&mut self, number: usize) -> Result<()> {
        let settings = self.settings(number);
        let server = &mut self.cluster.node_mut(number).server;
        let data = server.folder().join("data");
        std::fs::create_dir_all(&data)?;
        std::fs::write(data.join("myid"), format!("{}", number + 1))?;
        let file = server.folder().join("zoo.cfg");
        std::fs::write(&file, settings)?;
        let mut command = Command::new("java");
        // A small machine that starts quickly; crashes are of the process, not of the disk.
        command.args(["-Xms16m", "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        command.args(["-Dzookeeper.forceSync=no", "-Dzookeeper.admin.enableServer=false"]);
        command.args(["-Dzookeeper.jmx.log4j.disable=true", "-cp", &ARCHIVES.join(":")]);
        command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(file);
        server.start(&mut command)
    }

    /// Waits until one of them serves.
    pub fn wait(&mut self, number: usize) -> Result<()> {
        let node = self.cluster.node_mut(number);
        let address = node.address;
        node.server.wait(PATIENCE, || mode(address).is_some())
    }

    /// Which of them leads; `None` while none does.
    pub fn leader(&self) -> Option<usize> {
        self.cluster.nodes().iter().position(|node| mode(node.address).as_deref() == Some("leader"))
    }

    /// The names below `path`, as ZooKeeper's own client lists them, past the code under test.
    pub fn children(&self, path: &str) -> Result<Vec<String>> {
        let mut command = Command::new("java");
        command.args(["-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
        command.arg(ARCHIVES.join(":")).arg("org.apache.zookeeper.ZooKeeperMain");
        command.args(["-server", &self.address(0), "ls", path]);
        let output = command.output().context("running ZooKeeper's client")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // What else it prints is of its connection.
        let list = text.lines().rev().find_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
        let list = list.with_context(|| {
            format!("ls {path}: {text}{}", String::from_utf8_lossy(&output.stderr))
        })?;
        let names = list.split(", ").filter(|name| !name.is_empty());
        Ok(names.map(str::to_owned).collect())
    }

    fn settings(&self, number: usize) -> String {
        let node = self.cluster.node(number);
        let mut text = format!(
            "tickTime={}\ndataDir={}\nclientPort={CLIENTS}\nclientPortAddress={}\n\
             initLimit=10\nsyncLimit=3\nmaxClientCnxns=0\n{}\n",
            self.config.tick.as_millis(),
            node.server.folder().join("data").display(),
            node.address,
            self.config.more,
        );
        if self.cluster.nodes().len() > 1 {
            for (number, node) in self.cluster.nodes().iter().enumerate() {
                let (server, address) = (number + 1, node.address);
                // Writing into a string cannot fail.
                let _ = writeln!(text, "server.{server}={address}:{FOLLOWERS}:{ELECTION}");
            }
        }
        text
    }
}

/// Whether a server leads, follows or stands alone; `None` while it does not serve.
fn mode(address: Ipv4Addr) -> Option<String> {
    let at = SocketAddr::new(IpAddr::V4(address), CLIENTS);
    let patience = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&at, patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    stream.write_all(b"srvr").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
}
