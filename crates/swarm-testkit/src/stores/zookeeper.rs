//! Real ZooKeeper servers for tests: one, or an ensemble of several, each on a loopback address of
//! its own, so that ports never clash and the default port is what is tested.
//!
//! It leaves the ways a process fails to [`Server`]. `cargo xtask setup` installs the packages.
//! Invariant: `start` and `restart` return when the server asked serves clients.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use tempfile::TempDir;

use super::Server;

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
    nodes: Vec<Node>,
    /// Removed after the servers have ended: fields are dropped in their order.
    _folder: TempDir,
}

#[derive(Debug)]
struct Node {
    address: Ipv4Addr,
    server: Server,
}

impl ZooKeeperServer {
    /// Starts servers, and waits until they serve.
    pub fn start(config: Config) -> Result<Self> {
        for archive in ARCHIVES {
            if !Path::new(archive).exists() {
                bail!("no {archive}; `cargo xtask setup` installs it");
            }
        }
        let folder = tempfile::tempdir()?;
        let nodes = (0..config.servers).map(|number| {
            let name = format!("zookeeper-{number}");
            let server = Server::new(&name, &folder.path().join(&name))?;
            Ok(Node { address: own_address(), server })
        });
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        let mut servers = Self { config, nodes, _folder: folder };
        for number in 0..servers.nodes.len() {
            servers.launch(number)?;
        }
        for number in 0..servers.nodes.len() {
            servers.wait(number)?;
        }
        Ok(servers)
    }

    /// `HOST:PORT` where clients reach one of them.
    pub fn address(&self, number: usize) -> String {
        format!("{}:{CLIENTS}", self.nodes[number].address)
    }

    /// The discovery URL that names all of them.
    pub fn url(&self, prefix: &str) -> String {
        let hosts: Vec<_> = (0..self.nodes.len()).map(|number| self.address(number)).collect();
        format!("zk://{}/{prefix}", hosts.join(","))
    }

    /// One of the processes.
    pub fn server(&mut self, number: usize) -> &mut Server {
        &mut self.nodes[number].server
    }

    /// Starts one that has ended again, with its data, and waits until it serves.
    pub fn restart(&mut self, number: usize) -> Result<()> {
        self.launch(number)?;
        self.wait(number)
    }

    /// Starts one that has ended again, and does not wait.
    pub fn launch(&mut self, number: usize) -> Result<()> {
        let settings = self.settings(number);
        let server = &mut self.nodes[number].server;
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
        let address = self.nodes[number].address;
        self.nodes[number].server.wait(PATIENCE, || mode(address).is_some())
    }

    /// Which of them leads; `None` while none does.
    pub fn leader(&self) -> Option<usize> {
        self.nodes.iter().position(|node| mode(node.address).as_deref() == Some("leader"))
    }

    fn settings(&self, number: usize) -> String {
        let node = &self.nodes[number];
        let mut text = format!(
            "tickTime={}\ndataDir={}\nclientPort={CLIENTS}\nclientPortAddress={}\n\
             initLimit=10\nsyncLimit=3\nmaxClientCnxns=0\n{}\n",
            self.config.tick.as_millis(),
            node.server.folder().join("data").display(),
            node.address,
            self.config.more,
        );
        if self.nodes.len() > 1 {
            for (number, node) in self.nodes.iter().enumerate() {
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

/// A loopback address that no other process of this machine is likely to use: its number is in it.
fn own_address() -> Ipv4Addr {
    static GIVEN: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 192 + GIVEN.fetch_add(1, Ordering::Relaxed) % 64, high, low)
}
