//! Real Consul servers for tests: one, or a cluster of several.
//!
//! It leaves the ways a process fails to [`Server`], and the certificates of TLS to the test.
//! `cargo xtask setup` fetches the program. Invariant: `start` and `restart` return when the server
//! asked answers consistent reads and can hold sessions.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::Server;
use super::cluster::{Cluster, Node};

/// How long servers may take to elect a leader on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// The token that may do everything, where there are tokens.
const MANAGEMENT: &str = "6e1e8c1a-52a5-4b6c-9d0d-6a9d3b1f7c55";
const HTTP: u16 = 8500;
const HTTPS: u16 = 8501;

/// Where the unpacked package belongs: `SWARM_CONSUL`, or `target/engines/bullseye`.
pub fn root() -> PathBuf {
    std::env::var_os("SWARM_CONSUL").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/engines/bullseye"),
        PathBuf::from,
    )
}

/// The program, if it is there.
pub fn program() -> Result<PathBuf> {
    let program = root().join("usr/bin/consul");
    if !program.exists() {
        bail!("no {}; `cargo xtask setup` fetches it", program.display());
    }
    Ok(program.canonicalize()?)
}

/// How the servers are to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many there are.
    pub servers: u8,
    /// Nothing is allowed without a token.
    pub acl: bool,
    /// Clients are served by TLS.
    pub tls: Option<Tls>,
    /// Settings of Consul's own that are merged into each server's configuration.
    pub more: Value,
}

/// The files of TLS, as PEM.
#[derive(Debug, Clone)]
pub struct Tls {
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Clients must have a certificate of `ca`.
    pub clients_too: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { servers: 1, acl: false, tls: None, more: json!({}) }
    }
}

/// Running servers, which end with this value.
#[derive(Debug)]
pub struct ConsulServer {
    config: Config,
    cluster: Cluster,
}

impl ConsulServer {
    /// Starts servers, and waits until they serve.
    pub fn start(config: Config) -> Result<Self> {
        let cluster = Cluster::new("consul", config.servers)?;
        let mut servers = Self { config, cluster };
        let all = 0..servers.cluster.nodes().len();
        all.clone().try_for_each(|number| servers.launch(number))?;
        all.clone().try_for_each(|number| servers.wait(number))?;
        Ok(servers)
    }

    /// `HOST:PORT` where clients reach one of them.
    pub fn address(&self, number: usize) -> String {
        format!("{}:{}", self.cluster.node(number).address, self.port())
    }

    fn port(&self) -> u16 {
        if self.config.tls.is_some() { HTTPS } else { HTTP }
    }

    /// The discovery URL that names all of them.
    pub fn url(&self, prefix: &str) -> String {
        format!("consul://{}/{prefix}", self.cluster.hosts(self.port()))
    }

    /// The token that may do everything.
    pub fn management_token(&self) -> &'static str {
        MANAGEMENT
    }

    /// A new token that may do what `rules` say and no more.
    pub fn token(&self, name: &str, rules: &str) -> Result<String> {
        self.ask(0, "PUT", "/v1/acl/policy", &json!({"Name": name, "Rules": rules}).to_string())?;
        let token = json!({"Policies": [{"Name": name}]}).to_string();
        let made: Value = serde_json::from_str(&self.ask(0, "PUT", "/v1/acl/token", &token)?)?;
        Ok(made["SecretID"].as_str().context("the new token has no SecretID")?.to_owned())
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
        let config = self.settings(number);
        let server = &mut self.cluster.node_mut(number).server;
        let file = server.folder().join("config.json");
        std::fs::write(&file, serde_json::to_vec(&config)?)?;
        server.start(Command::new(program()?).args(["agent", "-config-file"]).arg(file))
    }

    /// Waits until one of them serves.
    pub fn wait(&mut self, number: usize) -> Result<()> {
        let begun = Instant::now();
        while !self.serves(number) {
            let Node { server, .. } = self.cluster.node_mut(number);
            if !server.is_running() || begun.elapsed() > PATIENCE {
                bail!("consul-{number} does not serve: {}", server.log_end());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Which of them leads; `None` while none does.
    pub fn leader(&self) -> Option<usize> {
        let nodes = self.cluster.nodes();
        (0..nodes.len()).find_map(|number| {
            let leader = self.ask(number, "GET", "/v1/status/leader", "").ok()?;
            let led_by = |node: &Node| leader.contains(&format!("\"{}:", node.address));
            nodes.iter().position(led_by)
        })
    }

    fn serves(&self, number: usize) -> bool {
        let node = format!("/v1/catalog/node/consul-{number}?consistent");
        let known = |text: String| text.contains("\"Address\"");
        self.ask(number, "GET", &node, "").is_ok_and(known)
    }

    /// Asks one of them as an administrator would, past the code under test: the body of a
    /// successful answer.
    pub fn ask(&self, number: usize, method: &str, path: &str, body: &str) -> Result<String> {
        let at = SocketAddr::new(IpAddr::V4(self.cluster.node(number).address), HTTP);
        let patience = Duration::from_secs(10);
        let mut stream = TcpStream::connect_timeout(&at, patience)?;
        stream.set_read_timeout(Some(patience))?;
        // HTTP/1.0, so that the end of the connection ends the body.
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nX-Consul-Token: {}\r\nContent-Length: {}\r\n\r\n{body}",
            if self.config.acl { MANAGEMENT } else { "" },
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer without an end")?;
        if !head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')) {
            bail!("{method} {path}: {head}: {body}");
        }
        Ok(body.to_owned())
    }

    fn settings(&self, number: usize) -> Value {
        let (node, nodes) = (self.cluster.node(number), self.cluster.nodes());
        let others = nodes.iter().filter(|other| other.address != node.address);
        let mut settings = json!({
            "server": true,
            "bootstrap_expect": nodes.len(),
            "node_name": format!("consul-{number}"),
            "data_dir": node.server.folder().join("data"),
            "bind_addr": node.address,
            "client_addr": node.address.to_string(),
            "retry_join": others.map(|other| other.address.to_string()).collect::<Vec<_>>(),
            "retry_interval": "1s",
            "disable_update_check": true,
            // Elections as quick as Consul can.
            "performance": {"raft_multiplier": 1},
            "ports": {"dns": -1, "grpc": -1, "serf_wan": -1, "http": HTTP},
        });
        if self.config.acl {
            settings["acl"] = json!({
                "enabled": true,
                "default_policy": "deny",
                "tokens": {"master": MANAGEMENT, "agent": MANAGEMENT},
            });
        }
        if let Some(tls) = &self.config.tls {
            settings["ports"]["https"] = HTTPS.into();
            settings["ca_file"] = json!(tls.ca);
            settings["cert_file"] = json!(tls.cert);
            settings["key_file"] = json!(tls.key);
            settings["verify_incoming_https"] = tls.clients_too.into();
        }
        for (key, value) in self.config.more.as_object().into_iter().flatten() {
            settings[key] = value.clone();
        }
        settings
    }
}
