//! The flags of `swarm daemon`.

use clap::Args;

use super::TlsFlags;

pub(super) const DAEMON_EXAMPLES: &str = "\
Examples:
  swarm daemon
      beside this machine's engine; then
      export DOCKER_HOST=unix:///run/swarm/docker.sock
      docker swarm init    begins a swarm, and prints how others join it
      docker service create --name web --publish published=80,target=80,mode=host nginx
  swarm daemon --node-host unix:///run/swarm/docker.sock --node-host tcp://127.0.0.1:2374
      the same endpoint behind two addresses

Restarting or upgrading the daemon, or the engine with live-restore, stops no task.

File (--config, TOML); flags and environment win over it:
  engine = \"unix:///var/run/docker.sock\"
  data-dir = \"/var/lib/swarm\"
  node-host = [\"unix:///run/swarm/docker.sock\"]
  listen-addr = \"0.0.0.0:2377\"
  advertise-addr = \"eth0\"
  metrics-addr = \"127.0.0.1:9324\"
  tlsverify = true
  tlscacert = \"/etc/swarm/ca.pem\"
  tlscert = \"/etc/swarm/cert.pem\"
  tlskey = \"/etc/swarm/key.pem\"

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

    /// Where this node listens as a manager, if docker swarm init or join name nothing else: an
    /// address or an interface, with a port or without [default: 0.0.0.0:2377]
    #[arg(long, value_name = "ADDRESS", help_heading = "Swarm")]
    pub listen_addr: Option<String>,
    /// Where other nodes reach this one, if docker swarm init or join name nothing else [default:
    /// this machine's only address]
    #[arg(long, value_name = "ADDRESS", help_heading = "Swarm")]
    pub advertise_addr: Option<String>,

    /// Address to serve metrics for Prometheus on, at /metrics: HOST:PORT, or :PORT for this machine
    /// alone; without it there are none [env: SWARM_METRICS_ADDR]
    #[arg(long, value_name = "HOST:PORT", help_heading = "Metrics")]
    pub metrics_addr: Option<String>,

    /// TLS of tcp:// addresses.
    #[command(flatten)]
    pub tls: TlsFlags,
}
