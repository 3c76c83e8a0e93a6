//! The command line as clap reads it, compatible flag for flag with classic Docker Swarm's.
//! The words here are the help text and the reference of every flag; values are kept as
//! written, and `config` reads and checks them.
//!
//! Environment variables are read by `config`, not by clap: a variable that is set but empty
//! counts as not set, as it did in classic.

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand};

use crate::tokens::{CreateFlags, SERVICE_EXAMPLES, ServiceFlags};
use crate::values::boolean;

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
    swarm://manager:2378           for swarm join and list: managers that keep the store themselves";

const MANAGE_EXAMPLES: &str = "\
Examples:
  swarm manage
      this machine's own engine, as a pool of one, on tcp://127.0.0.1:2375
  swarm manage -H unix:///run/swarm.sock node1:2375,node2:2375
      two engines behind a socket;  then: docker -H unix:///run/swarm.sock info
  swarm manage -H tcp://0.0.0.0:3376 --tlsverify --tlscacert ca.pem \\
      --tlscert cert.pem --tlskey key.pem --strategy binpack file:///etc/swarm/pool
      a pool that others may reach, filled engine by engine

Cluster options:
  swarm.overcommit=0.05   share of an engine's CPUs and memory given away beyond what it has
  swarm.createretry=0     further engines tried when creating a container fails
  swarm.rebalance=off     auto: even the pool out after an engine joined or came back
  swarm.reschedule=off    what containers that name no policy do when their engine fails: off,
                          on-node-failure or on-node-failure-with-volumes
  swarm.reschedule.grace=10s      how long an engine is silent before its containers move
  swarm.reschedule.stale=remove   what becomes of old copies when it returns: remove or keep

Signals:
  SIGHUP reads the TLS files again; SIGTERM and SIGINT end in order, a second one at once.";

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
    /// Keep an engine registered in a pool's discovery
    #[command(visible_alias = "j", args_override_self = true, after_help = SCHEMES)]
    Join(JoinFlags),
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
    /// Show what would even a pool out, and with --apply do it
    #[command(args_override_self = true)]
    Rebalance(RebalanceFlags),
    /// Say whether a pool is well, and if not, what is wrong and what to do
    #[command(args_override_self = true)]
    #[command(after_help = "Exit codes: 0 healthy, 1 warning, 2 critical or no manager answers")]
    Status(StatusFlags),
    /// Print the completion script of a shell
    #[command(after_help = "Examples:\n  \
        swarm completion bash > /etc/bash_completion.d/swarm\n  \
        swarm completion zsh > \"${fpath[1]}/_swarm\"\n  \
        swarm completion fish > ~/.config/fish/completions/swarm.fish")]
    Completion(CompletionFlags),
}

const NODE_EXAMPLES: &str = "\
Examples:
  swarm node ls
  swarm node cordon node-3             it gets nothing new
  swarm node drain node-3              what can move moves; what cannot is listed
  swarm node uncordon node-3           after its maintenance
  swarm node rm node-3                 it is gone for good";

/// The manager that is asked, the same for several commands.
#[derive(Debug, Default, Args)]
pub struct ManagerFlags {
    /// The manager: tcp://HOST:PORT or unix:///PATH [default: tcp://127.0.0.1:2375]
    /// [env: DOCKER_HOST]
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
    /// List a pool's engines
    #[command(visible_alias = "list", args_override_self = true)]
    Ls {
        /// Print names only
        #[arg(short, long)]
        quiet: bool,
        /// Whom to ask.
        #[command(flatten)]
        manager: ManagerFlags,
    },
    /// Print all that is known of engines, as JSON
    #[command(args_override_self = true)]
    Inspect(NodesFlags),
    /// Let engines keep what they have and get nothing new
    #[command(args_override_self = true)]
    Cordon(NodesFlags),
    /// Let engines get containers again
    #[command(args_override_self = true)]
    Uncordon(NodesFlags),
    /// Move what can move off engines, and say what cannot
    #[command(args_override_self = true)]
    Drain(DrainFlags),
    /// Take engines out of the pool
    #[command(visible_alias = "remove", args_override_self = true)]
    Rm {
        /// Also those that answer; what runs on them goes on outside the pool
        #[arg(short, long)]
        force: bool,
        /// Which.
        #[command(flatten)]
        nodes: NodesFlags,
    },
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

/// Flags of `swarm manage`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // Each is a switch of its own.
pub struct ManageFlags {
    /// Which engines.
    #[command(flatten)]
    pub discovery: DiscoveryFlags,
    /// Time between two questions to a key-value discovery, 1s or more [default: 60s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    #[arg(help_heading = "Discovery options")]
    pub heartbeat: Option<String>,

    /// Address to serve the API on: tcp://HOST:PORT or unix:///PATH; may be repeated
    /// [default: tcp://127.0.0.1:2375] [env: SWARM_HOST]
    #[arg(short = 'H', long = "host", value_name = "ADDRESS", help_heading = "API")]
    pub hosts: Vec<String>,
    /// Let any web page call the API (CORS headers)
    #[arg(long = "api-enable-cors", visible_alias = "cors", help_heading = "API")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = boolean, default_value = "false", hide_default_value = true)]
    #[arg(hide_possible_values = true, value_name = "BOOL")]
    pub cors: bool,

    /// Address to serve the pool's page on, for a browser; off unless it is given. Other than
    /// loopback addresses need TLS and --ui-token-file [env: SWARM_UI]
    #[arg(long, value_name = "HOST:PORT", help_heading = "Page")]
    pub ui: Option<String>,
    /// File with the token that a browser must give as its password (any user name); 16 characters
    /// or more [env: SWARM_UI_TOKEN_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Page")]
    pub ui_token_file: Option<String>,

    /// How an engine is chosen: spread (the least loaded), binpack (the fullest that fits)
    /// or random [default: spread] [env: SWARM_STRATEGY]
    #[arg(long, value_name = "NAME", help_heading = "Placement")]
    pub strategy: Option<String>,
    /// Which filters decide what an engine may take; may be repeated [default: all of
    /// health, port, containerslots, dependency, affinity, constraint, whitelist]
    #[arg(short = 'f', long = "filter", value_name = "NAME", help_heading = "Placement")]
    pub filters: Vec<String>,
    /// The cluster driver; there is only swarm
    #[arg(short = 'c', long, value_name = "NAME", help_heading = "Placement")]
    pub cluster_driver: Option<String>,
    /// An option of the pool, such as swarm.overcommit=0.05; may be repeated (--help lists them)
    #[arg(long = "cluster-opt", value_name = "KEY=VALUE", help_heading = "Placement")]
    pub cluster_options: Vec<String>,

    /// Address to serve metrics for Prometheus on, at /metrics: HOST:PORT, or :PORT for this machine
    /// alone; without it there are none [env: SWARM_METRICS_ADDR]
    #[arg(long, value_name = "HOST:PORT", help_heading = "Metrics")]
    pub metrics_addr: Option<String>,

    /// Use TLS towards clients and engines; implied by --tlsverify
    #[arg(long, help_heading = "TLS", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = boolean, default_value = "false", hide_default_value = true)]
    pub tls: bool,
    /// Use TLS, and let in only clients and engines with a certificate of the CA
    #[arg(long, help_heading = "TLS", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = boolean, default_value = "false", hide_default_value = true)]
    pub tlsverify: bool,
    /// The CA's certificate; needed by --tlsverify
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub tlscacert: Option<String>,
    /// Our certificate, for both sides; needed by --tls and --tlsverify
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub tlscert: Option<String>,
    /// Its key; needed by --tls and --tlsverify
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub tlskey: Option<String>,

    /// Shortest time between two full readings of an engine [default: 30s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, help_heading = "Engines")]
    pub engine_refresh_min_interval: Option<String>,
    /// Longest time between two full readings of an engine [default: 60s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, help_heading = "Engines")]
    pub engine_refresh_max_interval: Option<String>,
    /// Failures in a row after which an engine counts as unhealthy [default: 3]
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true, help_heading = "Engines")]
    pub engine_failure_retry: Option<String>,
    /// Replaced by --engine-failure-retry
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true, hide = true)]
    pub engine_refresh_retry: Option<String>,
    /// Read an engine afresh when a list of containers asks for it by node
    #[arg(long, help_heading = "Engines", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = boolean, default_value = "false", hide_default_value = true)]
    pub refresh_on_node_filter: bool,
    /// Read all engines afresh when a list of containers asks for this name
    #[arg(long, value_name = "NAME", help_heading = "Engines")]
    pub container_name_refresh_filter: Option<String>,

    /// Folder of the embedded store, which keeps the pool's state where the DISCOVERY is no store
    /// [default without a DISCOVERY: /var/lib/swarm/manage, or below ~/.local/state]
    /// [env: SWARM_DATA_DIR]
    #[arg(long, value_name = "FOLDER", help_heading = "State")]
    pub data_dir: Option<String>,
    /// Address where other managers and joining nodes reach the embedded store
    #[arg(long, value_name = "HOST:PORT", help_heading = "State")]
    pub store_listen: Option<String>,
    /// Where they are told to reach it [default: the address of --store-listen]
    #[arg(long, value_name = "HOST:PORT", help_heading = "State")]
    pub store_advertise: Option<String>,
    /// Managers whose embedded store this one joins; with several, one that answers is enough
    #[arg(long, value_name = "HOST:PORT,...", help_heading = "State")]
    pub store_join: Option<String>,
    /// File with the join token of those managers
    #[arg(long, value_name = "FILE", help_heading = "State")]
    pub store_token_file: Option<String>,
    /// File with the secret that seals registry credentials in a store; the same for all managers
    /// of the pool [env: SWARM_POOL_KEY_FILE]
    #[arg(long, value_name = "FILE", help_heading = "State")]
    pub pool_key_file: Option<String>,

    /// Several managers of one pool: one is the primary, the others forward to it; needs
    /// --advertise and a discovery that is a store
    #[arg(long, help_heading = "High availability", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = boolean, default_value = "false", hide_default_value = true)]
    pub replication: bool,
    /// How long after a primary was killed another one takes over [default: 20s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    #[arg(help_heading = "High availability")]
    pub replication_ttl: Option<String>,
    /// Where other managers reach this one; used with --replication [env: SWARM_ADVERTISE]
    #[arg(long, visible_alias = "addr", value_name = "HOST:PORT")]
    #[arg(help_heading = "High availability")]
    pub advertise: Option<String>,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
