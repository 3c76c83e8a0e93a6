//! The flags of `swarm manage`.

use clap::Args;

use super::{DiscoveryFlags, PageArgs, StatsdFlags, TlsFlags};
use crate::values::boolean;

pub(super) const MANAGE_EXAMPLES: &str = "\
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

Traces:
  OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318 sends them; the standard OTEL_ variables for traces count

Signals:
  SIGHUP reads the TLS files again; SIGTERM and SIGINT end in order, a second one at once.";

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

    /// The page.
    #[command(flatten)]
    pub page: PageArgs,

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
    /// The same for StatsD.
    #[command(flatten)]
    pub statsd: StatsdFlags,

    /// TLS.
    #[command(flatten)]
    pub tls: TlsFlags,

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
    /// Take this manager out of the store that it keeps with others, and end: for one that will not be back
    #[arg(long, help_heading = "State")]
    pub store_leave: bool,
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
