//! An etcd of a test: one member or a cluster of them on loopback, below a folder that goes with it.
//!
//! Each member has a port for its state (`/health`, `/metrics`) that needs no certificate and no
//! user, so that readiness is known whatever is tested.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::certificates::{Authority, Pair, Validity};
use super::server::{Server, free_port};

/// How long a member or cluster may take until it serves.
const START: Duration = Duration::from_mins(1);

/// How it is run.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// How many members.
    pub members: usize,
    /// Serve TLS only, with a certificate that is good or not.
    pub tls: Option<Validity>,
    /// With TLS: ask clients for a certificate.
    pub client_certificates: bool,
    /// The size of the database at which it takes no more, in bytes.
    pub quota: Option<u64>,
    /// How long a user's token is good when it is not used, in seconds.
    pub token_ttl: Option<u32>,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        Self { members: 1, tls: None, client_certificates: false, quota: None, token_ttl: None }
    }
}

/// A running etcd.
#[derive(Debug)]
pub struct EtcdServer {
    members: Vec<Member>,
    options: EtcdOptions,
    certificates: Option<(Authority, Pair)>,
    root: Option<String>,
    folder: TempDir,
}

#[derive(Debug)]
struct Member {
    server: Server,
    client: u16,
    peer: u16,
    state: u16,
}

impl EtcdServer {
    /// Starts it and waits until it serves.
    pub fn start(options: &EtcdOptions) -> Result<Self> {
        let folder = tempfile::tempdir().context("a folder for etcd")?;
        let member = |place| -> Result<Member> {
            let name = format!("etcd{place}");
            let server = Server::new(&name, &folder.path().join(&name))?;
            Ok(Member { server, client: free_port()?, peer: free_port()?, state: free_port()? })
        };
        let members = (0..options.members).map(member).collect::<Result<Vec<_>>>()?;
        let certificates = options.tls.map(|validity| {
            let authority = Authority::new(&folder.path().join("certificates"))?;
            let pair = authority.issue("etcd", validity)?;
            anyhow::Ok((authority, pair))
        });
        let certificates = certificates.transpose()?;
        let options = options.clone();
        let mut etcd = Self { members, options, certificates, root: None, folder };
        for place in 0..etcd.members.len() {
            etcd.launch(place)?;
        }
        for place in 0..etcd.members.len() {
            etcd.wait(place)?;
        }
        Ok(etcd)
    }

    /// Where its members serve clients, `HOST:PORT` each.
    pub fn hosts(&self) -> Vec<String> {
        self.members.iter().map(|member| format!("127.0.0.1:{}", member.client)).collect()
    }

    /// A URL with all members.
    pub fn url(&self) -> String {
        format!("etcd://{}/pool", self.hosts().join(","))
    }

    /// The authority of its certificates, where it has any.
    pub fn authority(&self) -> Option<&Authority> {
        self.certificates.as_ref().map(|(authority, _)| authority)
    }

    /// A folder for what a test needs beside it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A member's process, to crash, stop, freeze or thaw it.
    pub fn member(&mut self, place: usize) -> &mut Server {
        &mut self.members[place].server
    }

    /// Starts a member that was stopped or crashed, without waiting for it.
    pub fn launch(&mut self, place: usize) -> Result<()> {
        let mut command = self.command(place);
        self.members[place].server.start(&mut command)
    }

    /// Starts a member again and waits until it serves.
    pub fn restart(&mut self, place: usize) -> Result<()> {
        self.launch(place)?;
        self.wait(place)
    }

    fn wait(&mut self, place: usize) -> Result<()> {
        let member = &mut self.members[place];
        let state = member.state;
        member.server.wait(START, || {
            read_state(state, "/health").is_ok_and(|text| text.contains("\"health\":\"true\""))
        })
    }

    /// Which member leads, once the running ones agree on one.
    pub fn leader(&self) -> Result<usize> {
        let until = Instant::now() + START;
        loop {
            let leads = |member: &&Member| {
                let metrics = read_state(member.state, "/metrics");
                metrics.is_ok_and(|text| text.contains("\netcd_server_is_leader 1\n"))
            };
            let leaders: Vec<_> = self.members.iter().filter(leads).collect();
            if let [one] = leaders[..] {
                let place = self.members.iter().position(|member| member.client == one.client);
                return place.context("the leader is a member");
            }
            if Instant::now() > until {
                bail!("etcd has {} leaders after {START:?}", leaders.len());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs `etcdctl` towards all members, as root once there is one.
    pub fn control(&self, arguments: &[&str]) -> Result<String> {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        let hosts: Vec<_> =
            self.hosts().into_iter().map(|host| format!("{scheme}://{host}")).collect();
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").arg(format!("--endpoints={}", hosts.join(",")));
        if let Some((authority, pair)) = &self.certificates {
            command.arg("--cacert").arg(authority.file());
            command.arg("--cert").arg(&pair.cert).arg("--key").arg(&pair.key);
        }
        if let Some(password) = &self.root {
            command.arg(format!("--user=root:{password}"));
        }
        let output = command.args(arguments).output().context("running etcdctl (etcd-client)")?;
        if !output.status.success() {
            bail!("etcdctl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Turns users on: `root` with this password.
    pub fn enable_users(&mut self, password: &str) -> Result<()> {
        self.control(&["user", "add", &format!("root:{password}")])?;
        self.control(&["user", "grant-role", "root", "root"])?;
        self.control(&["auth", "enable"])?;
        self.root = Some(password.to_owned());
        Ok(())
    }

    /// Adds a user who may do `permission` (`read`, `readwrite`) below `prefix`.
    pub fn add_user(
        &self,
        name: &str,
        password: &str,
        permission: &str,
        prefix: &str,
    ) -> Result<()> {
        self.control(&["user", "add", &format!("{name}:{password}")])?;
        self.control(&["role", "add", name])?;
        self.control(&["role", "grant-permission", "--prefix", name, permission, prefix])?;
        self.control(&["user", "grant-role", name, name])?;
        Ok(())
    }

    fn command(&self, place: usize) -> Command {
        let member = &self.members[place];
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        let client = format!("{scheme}://127.0.0.1:{}", member.client);
        let peer = |member: &Member| format!("http://127.0.0.1:{}", member.peer);
        let cluster = self.members.iter().enumerate();
        let cluster: Vec<_> =
            cluster.map(|(place, member)| format!("etcd{place}={}", peer(member))).collect();
        let mut command = Command::new("etcd");
        command
            .arg(format!("--name=etcd{place}"))
            .arg(format!("--data-dir={}", member.server.folder().join("data").display()))
            .arg(format!("--listen-client-urls={client}"))
            .arg(format!("--advertise-client-urls={client}"))
            .arg(format!("--listen-peer-urls={}", peer(member)))
            .arg(format!("--initial-advertise-peer-urls={}", peer(member)))
            .arg(format!("--initial-cluster={}", cluster.join(",")))
            .arg(format!("--listen-metrics-urls=http://127.0.0.1:{}", member.state))
            .args(["--logger=zap", "--log-level=warn"]);
        if let Some((authority, pair)) = &self.certificates {
            command.arg(format!("--cert-file={}", pair.cert.display()));
            command.arg(format!("--key-file={}", pair.key.display()));
            if self.options.client_certificates {
                let file = authority.file();
                command.arg(format!("--trusted-ca-file={}", file.display()));
                command.arg("--client-cert-auth");
            }
        }
        if let Some(quota) = self.options.quota {
            command.arg(format!("--quota-backend-bytes={quota}"));
        }
        if let Some(seconds) = self.options.token_ttl {
            command.arg(format!("--auth-token-ttl={seconds}"));
        }
        command
    }
}

/// What a member says of itself at `path`.
fn read_state(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    // A frozen member takes the connection and says nothing.
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
