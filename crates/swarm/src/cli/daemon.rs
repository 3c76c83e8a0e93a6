//! The flags of `swarm daemon`.

use clap::Args;

use super::{PageArgs, RegisterFlags, StatsdFlags, TlsFlags};

pub(super) const DAEMON_EXAMPLES: &str = "\
Examples:
  swarm daemon
      beside this machine's engine; then
      export DOCKER_HOST=unix:///run/swarm/docker.sock
      docker swarm init    begins a swarm, and prints how others join it
      docker service create --name web --publish published=80,target=80,mode=host nginx
  swarm daemon --node-host unix:///run/swarm/docker.sock --node-host tcp://127.0.0.1:2374
      the same endpoint behind two addresses
  swarm daemon --ui 127.0.0.1:8080
      on a manager also the page that shows the swarm live
  docker -H unix:///run/swarm/cluster.sock ps
      the containers of all nodes, on a manager: also run, exec, logs, cp, events, stats

Restarting or upgrading the daemon, or the engine with live-restore, stops no task.

File (--config, TOML); flags and environment win over it:
  engine = \"unix:///var/run/docker.sock\"
  data-dir = \"/var/lib/swarm\"
  node-host = [\"unix:///run/swarm/docker.sock\"]
  cluster-host = [\"unix:///run/swarm/cluster.sock\"]
  listen-addr = \"0.0.0.0:2377\"
  advertise-addr = \"eth0\"
  allow = [\"privileged\", \"device=/dev/fuse\"]
  metrics-addr = \"127.0.0.1:9324\"
  statsd = \"127.0.0.1:8125\"
  statsd-format = \"dogstatsd\"
  register = \"consul://127.0.0.1:8500\"
  register-ip = \"10.0.0.7\"
  ui = \"127.0.0.1:8080\"
  tlsverify = true
  tlscacert = \"/etc/swarm/ca.pem\"
  tlscert = \"/etc/swarm/cert.pem\"
  tlskey = \"/etc/swarm/key.pem\"

Traces:
  OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318 sends them; the standard OTEL_ variables for traces count

Signals:
  SIGHUP reads the TLS files again; SIGTERM and SIGINT end in order, a second one at once.";

/// Flags of `swarm daemon`.
#[derive(Debug, Default, Args)]
pub struct DaemonFlags {
    /// The engine beside which it runs [default: unix:///var/run/docker.sock] [env: SWARM_ENGINE]
    #[arg(long, value_name = "ADDRESS")]
    pub engine: Option<String>,
    /// Folder of what this node keeps: its identity and, on a manager, the swarm's store
    /// [default: /var/lib/swarm] [env: SWARM_DATA_DIR]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<String>,
    /// File with these settings, in TOML [env: SWARM_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,

    /// Address to serve this node's engine with swarm mode on: unix:///PATH or tcp://HOST:PORT; may
    /// be repeated [default: unix:///run/swarm/docker.sock] [env: SWARM_NODE_HOST]
    #[arg(short = 'H', long = "node-host", value_name = "ADDRESS", help_heading = "API")]
    pub node_hosts: Vec<String>,
    /// Address to serve all nodes' engines as one on, where this node is a manager: unix:///PATH or
    /// tcp://HOST:PORT; may be repeated [default: cluster.sock beside the node endpoint's socket, that is
    /// unix:///run/swarm/cluster.sock] [env: SWARM_CLUSTER_HOST]
    #[arg(long = "cluster-host", value_name = "ADDRESS", help_heading = "API")]
    pub cluster_hosts: Vec<String>,

    /// The page.
    #[command(flatten)]
    pub page: PageArgs,

    /// Where this node listens as a manager, if docker swarm init or join name nothing else: an
    /// address or an interface, with a port or without; a member listens there from this start on
    /// [default: 0.0.0.0:2377]
    #[arg(long, value_name = "ADDRESS", help_heading = "Swarm")]
    pub listen_addr: Option<String>,
    /// Where other nodes reach this one, if docker swarm init or join name nothing else; a member is
    /// there from this start on [default: this machine's only address]
    #[arg(long, value_name = "ADDRESS", help_heading = "Swarm")]
    pub advertise_addr: Option<String>,

    /// What services may ask of this machine beyond Docker's, by labels swarm.host.NAME: privileged,
    /// devices, gpus, cgroup-parent, ...; NAME for any value, NAME=VALUE for one (device=/dev/fuse), all
    /// for everything; by commas or repeated [default: nothing] [env: SWARM_ALLOW]
    #[arg(long, value_name = "NAME[=VALUE]", value_delimiter = ',', help_heading = "Swarm")]
    pub allow: Vec<String>,
    /// A manager of this node's swarm, HOST:PORT, to be asked beside those that it remembers: after a
    /// restore under another address. May be repeated
    #[arg(long = "manager", value_name = "ADDRESS", help_heading = "Swarm")]
    pub managers: Vec<String>,

    /// Address to serve metrics for Prometheus on, at /metrics: HOST:PORT, or :PORT for this machine
    /// alone; without it there are none [env: SWARM_METRICS_ADDR]
    #[arg(long, value_name = "HOST:PORT", help_heading = "Metrics")]
    pub metrics_addr: Option<String>,
    /// The same for StatsD.
    #[command(flatten)]
    pub statsd: StatsdFlags,

    /// Its engine's services in a registry.
    #[command(flatten)]
    pub register: RegisterFlags,

    /// TLS of tcp:// addresses.
    #[command(flatten)]
    pub tls: TlsFlags,
}
