//! Commands that ask a manager: nodes, rebalancing, the pool's status.

use clap::{Args, Subcommand};

pub(super) const NODE_EXAMPLES: &str = "\
Examples:
  swarm node ls
  swarm node cordon node-3             it gets nothing new
  swarm node drain node-3              what can move moves; what cannot is listed
  swarm node uncordon node-3           after its maintenance
  swarm node rm node-3                 it is gone for good";

/// The manager that is asked, the same for several commands.
#[derive(Debug, Default, Args)]
pub struct ManagerFlags {
    /// The manager: tcp://HOST:PORT or unix:///PATH [default: the docker context in use; without one
    /// tcp://127.0.0.1:2375, or swarm daemon's socket where nothing listens there] [env: DOCKER_HOST]
    #[arg(short = 'H', long = "host", value_name = "ADDRESS", help_heading = "Manager")]
    pub host: Option<String>,
    /// Use TLS; implied by --tlsverify
    #[arg(long, help_heading = "Manager")]
    pub tls: bool,
    /// Use TLS, and talk only to a manager with a certificate of the CA [env: DOCKER_TLS_VERIFY]
    #[arg(long, help_heading = "Manager")]
    pub tlsverify: bool,
    /// The CA's certificate [default: ca.pem in DOCKER_CERT_PATH]
    #[arg(long, value_name = "FILE", help_heading = "Manager")]
    pub tlscacert: Option<String>,
    /// Our certificate [default: cert.pem in DOCKER_CERT_PATH]
    #[arg(long, value_name = "FILE", help_heading = "Manager")]
    pub tlscert: Option<String>,
    /// Its key [default: key.pem in DOCKER_CERT_PATH]
    #[arg(long, value_name = "FILE", help_heading = "Manager")]
    pub tlskey: Option<String>,
}

/// What is done with nodes.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List a pool's engines, or a swarm's nodes
    #[command(visible_alias = "list", args_override_self = true)]
    Ls {
        /// Print names only
        #[arg(short, long)]
        quiet: bool,
        /// Whom to ask.
        #[command(flatten)]
        manager: ManagerFlags,
    },
    /// Print all that is known of them, as JSON
    #[command(args_override_self = true)]
    Inspect(NodesFlags),
    /// Let them keep what they have and get nothing new
    #[command(args_override_self = true)]
    Cordon(NodesFlags),
    /// Let them get containers and tasks again
    #[command(args_override_self = true)]
    Uncordon(NodesFlags),
    /// Move what can move off them, and say what cannot
    #[command(args_override_self = true)]
    Drain(DrainFlags),
    /// Take them out of the pool or the swarm
    #[command(visible_alias = "remove", args_override_self = true)]
    Rm {
        /// Also those that answer; what runs on a pool's engines goes on outside of it
        #[arg(short, long)]
        force: bool,
        /// Which.
        #[command(flatten)]
        nodes: NodesFlags,
    },
}

pub(super) const SERVICE_COMMANDS: &str = "\
Examples:
  swarm service restart -H unix:///run/swarm/docker.sock web
      each task of web anew, so many at once as its update configuration says";

/// What is done with services.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Restart all tasks of services, rolling, as their update configuration says, and wait for it
    #[command(args_override_self = true)]
    #[command(after_help = "Exit codes: 0 restarted, 1 paused, rolled back or failed")]
    Restart(RestartFlags),
}

/// Flags of `swarm service restart`.
#[derive(Debug, Args)]
pub struct RestartFlags {
    /// Names or ids
    #[arg(value_name = "SERVICE", required = true)]
    pub services: Vec<String>,
    /// Begin, and do not wait for the end
    #[arg(short, long)]
    pub detach: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub manager: ManagerFlags,
}

/// Which nodes.
#[derive(Debug, Args)]
pub struct NodesFlags {
    /// Names or ids
    #[arg(value_name = "NODE", required = true)]
    pub nodes: Vec<String>,
    /// Whom to ask.
    #[command(flatten)]
    pub manager: ManagerFlags,
}

/// Flags of `swarm node drain`.
#[derive(Debug, Args)]
pub struct DrainFlags {
    /// Which.
    #[command(flatten)]
    pub nodes: NodesFlags,
    /// Begin, and do not wait for the end
    #[arg(long)]
    pub no_wait: bool,
    /// Fail when anything cannot be moved
    #[arg(long, conflicts_with = "no_wait")]
    pub strict: bool,
    /// How long to wait [default: 10m]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub timeout: Option<String>,
}

/// Flags of `swarm status`.
#[derive(Debug, Args)]
pub struct StatusFlags {
    /// Print the verdict as JSON
    #[arg(long)]
    pub json: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub manager: ManagerFlags,
}

pub(super) const DOCTOR_HELP: &str = "\
It looks at the engine (socket, version, clock, room, its own warnings), the kernel, the firewall's
back end, sizes of packets, open files, and with TLS flags at the certificates' dates. With -H also
at that manager's pool: all that swarm status says, and whether this machine reaches each node.
It changes nothing.

Exit codes: 0 healthy, 1 warning, 2 critical";

/// Flags of `swarm doctor`.
#[derive(Debug, Args)]
pub struct DoctorFlags {
    /// This machine's engine [default: unix:///var/run/docker.sock]
    #[arg(long, value_name = "ADDRESS")]
    pub engine: Option<String>,
    /// What swarm daemon keeps here, looked at where it is there [default: /var/lib/swarm]
    /// [env: SWARM_DATA_DIR]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<String>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
    /// Whose pool to look at; without -H only this machine is.
    #[command(flatten)]
    pub manager: ManagerFlags,
}

/// Flags of `swarm support-bundle`.
#[derive(Debug, Args)]
pub struct BundleFlags {
    /// The archive to make (.tar.gz), which must not be there yet; - for the standard output
    #[arg(value_name = "FILE")]
    pub file: String,
    /// This machine's engine [default: unix:///var/run/docker.sock]
    #[arg(long, value_name = "ADDRESS")]
    pub engine: Option<String>,
    /// What swarm daemon keeps here, looked at where it is there [default: /var/lib/swarm]
    /// [env: SWARM_DATA_DIR]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<String>,
    /// Whose pool or swarm it tells of.
    #[command(flatten)]
    pub manager: ManagerFlags,
}

/// Flags of `swarm top`.
#[derive(Debug, Args)]
pub struct TopFlags {
    /// Print one look and end; as wide as COLUMNS says, or 160
    #[arg(long)]
    pub once: bool,
    /// Time between two looks while nothing happens, 300ms or more [default: 2s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub interval: Option<String>,
    /// Whom to ask.
    #[command(flatten)]
    pub manager: ManagerFlags,
}

/// Flags of `swarm rebalance`.
#[derive(Debug, Args)]
pub struct RebalanceFlags {
    /// Make the moves; without it they are only shown
    #[arg(long)]
    pub apply: bool,
    /// How many moves at the same time, 1 to 16
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=16))]
    pub at_once: u32,
    /// How many moves at most, 1 to 1000
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Whom to ask.
    #[command(flatten)]
    pub manager: ManagerFlags,
}
