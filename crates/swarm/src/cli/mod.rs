//! The command line as clap reads it, compatible flag for flag with classic Docker Swarm's.
//! The words here are the help text and the reference of every flag; values are kept as
//! written, and `config` reads and checks them.
//!
//! Environment variables are read by `config`, not by clap: a variable that is set but empty
//! counts as not set, as it did in classic.

mod backup;
mod clients;
mod daemon;
mod manage;
mod page;
mod proxy;
mod register;
mod registrator;
mod statsd;
mod tls;
mod up;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand};

use crate::tokens::{CreateFlags, SERVICE_EXAMPLES, ServiceFlags};

pub use backup::{BackupFlags, PassphraseFlags, RestoreFlags};
pub use clients::{
    BundleFlags, DoctorFlags, DrainFlags, ManagerFlags, NodeCommand, NodesFlags, RebalanceFlags,
    RestartFlags, ServiceCommand, StatusFlags, TopFlags,
};
pub use daemon::DaemonFlags;
pub use manage::ManageFlags;
pub use page::PageArgs;
pub use proxy::ProxyFlags;
pub use register::RegisterFlags;
pub use registrator::{RegistratorFlags, Spelling};
pub use statsd::StatsdFlags;
pub use tls::TlsFlags;
pub use up::{DialFlags, DownFlags, SshFlags, UpFlags};

use backup::{BACKUP_HELP, RESTORE_HELP};
use clients::{DOCTOR_HELP, NODE_EXAMPLES, SERVICE_COMMANDS};
use daemon::DAEMON_EXAMPLES;
use manage::MANAGE_EXAMPLES;
use proxy::PROXY_HELP;
use registrator::BACKENDS;
use up::{DOWN_HELP, UP_HELP};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const SCHEMES: &str = "\
Discovery:
  A DISCOVERY says which engines the pool has:
    node1:2375,node2:2375          a list; nodes:// before it is optional
    10.0.0.[10:200]:2375           a range, here 191 engines
    file:///etc/swarm/pool         a file, one address or range per line, followed as it changes
    unix:///run/a.sock,node2:2375  engines on this machine by their sockets
    consul://h1:8500/prefix        engines that swarm join registers in Consul
    etcd://h1:2379,h2:2379/prefix  the same in etcd
    zk://h1:2181,h2:2181/prefix    the same in ZooKeeper
    token://TOKEN                  the same in a token service (swarm discovery, swarm create)
    swarm://manager:2378           for swarm join and list: managers that keep the store themselves
    swarm://                       for swarm manage --store-listen: the engines that join it so, no other";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "swarm",
    about = "Many Docker Engines, served as one",
    long_about = "Many Docker Engines, served as one: the docker command, Compose and every \
                  other Docker client work with the whole pool, unchanged.",
    version = concat!("version ", env!("CARGO_PKG_VERSION")),
    disable_version_flag = true,
    disable_help_subcommand = false,
    styles = STYLES,
    args_override_self = true,
    after_help = "Try it on a machine with Docker:\n  swarm manage &\n  \
                  docker -H tcp://127.0.0.1:2375 info\n\n\
                  'swarm help COMMAND' tells more about a command."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The log.
    #[command(flatten)]
    pub log: LogFlags,
    /// Accepted for old scripts; there is nothing experimental to turn on
    #[arg(long, global = true, hide = true)]
    pub experimental: bool,
    /// Print the version
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// The log's flags.
#[derive(Debug, Args)]
pub struct LogFlags {
    /// Log what happens in detail [env: DEBUG]
    #[arg(long, global = true, help_heading = "Logging")]
    pub debug: bool,
    /// How much to log: debug, info, warn, error, fatal or panic [default: info]
    #[arg(short = 'l', long = "log-level", value_name = "LEVEL", global = true)]
    #[arg(help_heading = "Logging")]
    pub level: Option<String>,
    /// How to log: text, or json with one object per line [default: text]
    #[arg(long = "log-format", value_name = "FORMAT", global = true, help_heading = "Logging")]
    pub format: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the Docker API over a pool of engines
    #[command(visible_alias = "m", args_override_self = true)]
    #[command(after_help = SCHEMES, after_long_help = format!("{SCHEMES}\n\n{MANAGE_EXAMPLES}"))]
    Manage(Box<ManageFlags>),
    /// Give this machine's engine swarm mode: services, tasks, secrets, docker swarm init and join
    #[command(args_override_self = true)]
    #[command(after_help = DAEMON_EXAMPLES)]
    Daemon(Box<DaemonFlags>),
    /// Make machines the nodes of a swarm over SSH, or have them join one
    #[command(args_override_self = true, after_help = UP_HELP)]
    Up(Box<UpFlags>),
    /// Have machines leave their swarm over SSH, and undo what swarm up did
    #[command(args_override_self = true, after_help = DOWN_HELP)]
    Down(Box<DownFlags>),
    /// Join this process's input and output with a daemon's socket: what swarm up runs on the other side
    #[command(args_override_self = true)]
    DialStdio(DialFlags),
    /// Write what the managers of a swarm have into one sealed file
    #[command(args_override_self = true, after_help = BACKUP_HELP)]
    Backup(BackupFlags),
    /// Make a manager's folder of such a file, after all managers were lost
    #[command(args_override_self = true, after_help = RESTORE_HELP)]
    Restore(RestoreFlags),
    /// Keep an engine registered in a pool's discovery
    #[command(visible_alias = "j", args_override_self = true, after_help = SCHEMES)]
    Join(Box<JoinFlags>),
    /// List the engines that a discovery names
    #[command(visible_alias = "l", args_override_self = true, after_help = SCHEMES)]
    List(ListFlags),
    /// Make a token for a new pool
    #[command(visible_alias = "c", args_override_self = true)]
    Create(CreateFlags),
    /// Serve tokens: a place where engines register, for pools without a key-value store
    #[command(args_override_self = true, after_help = SERVICE_EXAMPLES)]
    Discovery(Box<ServiceFlags>),
    /// Show a pool's engines, keep them from getting containers, empty them, take them out
    #[command(subcommand, after_help = NODE_EXAMPLES)]
    Node(NodeCommand),
    /// Restart a swarm's services
    #[command(subcommand, after_help = SERVICE_COMMANDS)]
    Service(ServiceCommand),
    /// Show what would even a pool out, and with --apply do it
    #[command(args_override_self = true)]
    Rebalance(RebalanceFlags),
    /// Say whether a pool is well, and if not, what is wrong and what to do
    #[command(args_override_self = true)]
    #[command(after_help = "Exit codes: 0 healthy, 1 warning, 2 critical or no manager answers")]
    Status(StatusFlags),
    /// Look whether this machine can be a node or a manager, and say what to do where not
    #[command(args_override_self = true, after_help = DOCTOR_HELP)]
    Doctor(DoctorFlags),
    /// Gather what somebody who helps needs to see, without secrets
    #[command(args_override_self = true)]
    #[command(
        after_help = "Exit codes: 0 written, 1 not written, 2 the command line is wrong, 3 written, but no manager \
                            could be asked"
    )]
    SupportBundle(BundleFlags),
    /// Show a pool at a glance, live in the terminal: nodes, load, containers, services, events
    #[command(args_override_self = true)]
    #[command(after_help = "Keys: q ends, ? shows the others")]
    Top(TopFlags),
    /// Write what a host's containers publish to Consul or etcd, and take out what is gone
    #[command(args_override_self = true, after_help = BACKENDS)]
    Registrator(Box<RegistratorFlags>),
    /// Keep nginx's or HAProxy's configuration as containers and services come and go
    #[command(args_override_self = true, after_help = PROXY_HELP)]
    Proxy(Box<ProxyFlags>),
    /// Print the completion script of a shell
    #[command(after_help = "Examples:\n  \
        swarm completion bash > /etc/bash_completion.d/swarm\n  \
        swarm completion zsh > \"${fpath[1]}/_swarm\"\n  \
        swarm completion fish > ~/.config/fish/completions/swarm.fish")]
    Completion(CompletionFlags),
    /// Write a manual page for each command, for packages
    #[command(hide = true)]
    Man(ManFlags),
}

/// Which discovery, the same for three commands.
#[derive(Debug, Default, Args)]
pub struct DiscoveryFlags {
    /// Which engines the pool has (see below) [env: SWARM_DISCOVERY]
    #[arg(value_name = "DISCOVERY")]
    pub url: Option<String>,
    /// The same as the argument DISCOVERY
    #[arg(long = "discovery", value_name = "URL", help_heading = "Discovery options")]
    pub flag: Option<String>,
    /// Where the token service of token://TOKEN is: https://HOST:PORT [env: SWARM_DISCOVERY_URL]
    #[arg(long = "discovery-url", value_name = "URL", help_heading = "Discovery options")]
    pub service: Option<String>,
    /// An option of the discovery backend; may be repeated
    #[arg(long = "discovery-opt", value_name = "KEY=VALUE", help_heading = "Discovery options")]
    pub options: Vec<String>,
}

/// Flags of `swarm join`.
#[derive(Debug, Args)]
pub struct JoinFlags {
    /// Which pool.
    #[command(flatten)]
    pub discovery: DiscoveryFlags,
    /// Where the managers reach this engine [env: SWARM_ADVERTISE]
    #[arg(long, visible_alias = "addr", value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Time between two registrations, 1s or more [default: 60s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub heartbeat: Option<String>,
    /// How long a registration lasts; more than the heartbeat [default: 180s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub ttl: Option<String>,
    /// Longest random wait before the first registration, so that a whole pool does not
    /// register at once [default: 0s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub delay: Option<String>,
    /// Serve the engine on this address, so that it needs no TCP port of its own: tcp://HOST:PORT; beyond
    /// this machine with --tlsverify alone [default: it is not served]
    #[arg(long, value_name = "ADDRESS", help_heading = "Serving the engine")]
    pub listen: Option<String>,
    /// The engine that is served, by its socket [default: unix:///var/run/docker.sock]
    #[arg(long, value_name = "unix:///PATH", help_heading = "Serving the engine")]
    pub engine: Option<String>,
    /// TLS towards whoever uses the engine.
    #[command(flatten)]
    pub tls: TlsFlags,
    /// The local engine, whose services --register writes: unix:///PATH, or tcp://HOST:PORT without TLS
    /// [default: that of --engine, or unix:///var/run/docker.sock]
    #[arg(long, value_name = "ADDRESS", help_heading = "Registration of services")]
    pub register_engine: Option<String>,
    /// Its services in a registry.
    #[command(flatten)]
    pub register: RegisterFlags,
}

/// Flags of `swarm list`.
#[derive(Debug, Args)]
pub struct ListFlags {
    /// Which pool.
    #[command(flatten)]
    pub discovery: DiscoveryFlags,
    /// How long to wait for the discovery [default: 10s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub timeout: Option<String>,
}

/// Flags of `swarm completion`.
#[derive(Debug, Args)]
pub struct CompletionFlags {
    /// Which shell
    #[arg(value_parser = ["bash", "zsh", "fish"])]
    pub shell: String,
}

/// Flags of `swarm man`.
#[derive(Debug, Args)]
pub struct ManFlags {
    /// Where to write them
    #[arg(value_name = "FOLDER")]
    pub folder: std::path::PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
