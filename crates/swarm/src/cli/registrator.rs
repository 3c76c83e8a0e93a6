//! Flags of `swarm registrator`, named as gliderlabs/registrator's where it has them.

use clap::Args;

/// How the flags of one command begin, for words about them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Spelling {
    /// `--ip`, of `swarm registrator`.
    #[default]
    Own,
    /// `--register-ip`, of an agent that registers, too.
    Within,
}

impl Spelling {
    /// The flag of this name.
    pub fn flag(self, name: &str) -> String {
        match self {
            Self::Own => format!("--{name}"),
            Self::Within => format!("--register-{name}"),
        }
    }

    /// Where the backend is given.
    pub fn backend(self) -> &'static str {
        match self {
            Self::Own => "BACKEND",
            Self::Within => "--register",
        }
    }
}

pub(super) const BACKENDS: &str = "\
Backends:
  consul://HOST:PORT              Consul's service catalogue, by the host's own agent
  consulkv://HOST:PORT[/PREFIX]   Consul's key-value store: PREFIX/NAME/ID with the value IP:PORT
  etcd://HOST:PORT[/PREFIX]       the same in etcd, with a slash before it
  The PREFIX is services where none is given.

Containers say more by variables or labels: SERVICE_NAME, SERVICE_TAGS, SERVICE_ID,
SERVICE_IGNORE, SERVICE_CHECK_HTTP and others; SERVICE_80_NAME is for port 80 alone.

Example:
  swarm registrator --ip 10.0.0.7 consul://127.0.0.1:8500";

/// Flags of `swarm registrator`.
#[derive(Debug, Args)]
pub struct RegistratorFlags {
    /// Where services are written to (see below)
    #[arg(value_name = "BACKEND")]
    pub backend: String,
    /// This host's engine: unix:///PATH, or tcp://HOST:PORT without TLS
    /// [default: unix:///var/run/docker.sock]
    #[arg(long, value_name = "ADDRESS")]
    pub engine: Option<String>,
    /// This host's name in ids and marks; no other host may have it [default: the engine's]
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// The address of every service [default: the one a port is published on, or the one that
    /// this host has towards the backend]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "internal")]
    pub ip: Option<String>,
    /// Register containers' own addresses and exposed ports, not the published ones
    #[arg(long)]
    pub internal: bool,
    /// Leave out containers without SERVICE_NAME
    #[arg(long)]
    pub explicit: bool,
    /// Tags of every service, parted by commas
    #[arg(long, value_name = "LIST")]
    pub tags: Option<String>,
    /// How long an entry lives that nobody refreshes; 0 for ever [default: 60s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub ttl: Option<String>,
    /// Time between two refreshes; less than the TTL [default: a third of it]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub ttl_refresh: Option<String>,
    /// Time between two readings of everything, 1s or more [default: 60s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub resync: Option<String>,
    /// When a container's end takes its entries out: always, or on-success [default: always]
    #[arg(long, value_name = "WHEN")]
    pub deregister: Option<String>,
    /// What a clean stop does with the entries: leave or deregister [default: leave]
    #[arg(long, value_name = "WHAT")]
    pub on_stop: Option<String>,
    /// Take out entries of this host that another registrator left in Consul's catalogue, too
    #[arg(long)]
    pub cleanup: bool,
    /// An option of the backend, such as kv.tokenfile=FILE; may be repeated
    #[arg(long = "discovery-opt", value_name = "KEY=VALUE")]
    pub options: Vec<String>,
    /// How they were spelled.
    #[arg(skip)]
    pub spelling: Spelling,
}
