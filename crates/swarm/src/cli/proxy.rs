//! Flags of `swarm proxy`.

use clap::Args;

use super::ManagerFlags;

pub(super) const PROXY_HELP: &str = "\
Who answers for which host is said by labels or variables of containers and services:
  com.docker.swarm.proxy.host=shop.example.com,*.shop.example.com   and .port, .path
  VIRTUAL_HOST, VIRTUAL_PORT, VIRTUAL_PATH                          as for nginx-proxy
  interlock.hostname, interlock.domain, interlock.port              as for interlock

Examples:
  swarm proxy nginx --run --config /etc/swarm/nginx.conf -H tcp://manager:2375
  swarm proxy nginx --config /etc/nginx/nginx.conf --pid-file /run/nginx.pid
  swarm proxy haproxy --config /etc/haproxy/haproxy.cfg --reload 'systemctl reload haproxy'
  swarm proxy haproxy --print-template > my.cfg.j2";

/// Flags of `swarm proxy`.
#[allow(clippy::struct_excessive_bools)] // Each is a flag of its own.
#[derive(Debug, Args)]
pub struct ProxyFlags {
    /// Which proxy: nginx or haproxy
    #[arg(value_name = "PROXY", value_parser = ["nginx", "haproxy"])]
    pub kind: String,
    /// The configuration to keep
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// The template [default: the ready one for the proxy]
    #[arg(long, value_name = "FILE")]
    pub template: Option<String>,
    /// A variable for the template, as vars.NAME; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Run the proxy as a child, by this command or the usual one
    #[arg(long, value_name = "COMMAND", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "", help_heading = "How the proxy is told (one of these)")]
    pub run: Option<String>,
    /// Signal the proxy whose process's id is in this file (nginx: HUP, haproxy: USR2)
    #[arg(long, value_name = "FILE", help_heading = "How the proxy is told (one of these)")]
    pub pid_file: Option<String>,
    /// Run this command
    #[arg(long, value_name = "COMMAND", help_heading = "How the proxy is told (one of these)")]
    pub reload: Option<String>,
    /// Tell nobody
    #[arg(long, help_heading = "How the proxy is told (one of these)")]
    pub no_reload: bool,
    /// What must say yes to $CONFIG before it is put in place
    /// [default: nginx -t -q -c "$CONFIG", or haproxy -c -q -f "$CONFIG"]
    #[arg(long, value_name = "COMMAND")]
    pub check: Option<String>,
    /// Reach containers at their own addresses and ports, not at published ones
    #[arg(long)]
    pub internal: bool,
    /// In which network, with --internal [default: the first by name]
    #[arg(long, value_name = "NAME", requires = "internal")]
    pub network: Option<String>,
    /// How long nothing may happen before the configuration is made anew [default: 250ms]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub wait: Option<String>,
    /// How long at most it is put off while more happens [default: 2s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub max_wait: Option<String>,
    /// Time between two full looks, 1s or more [default: 60s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub resync: Option<String>,
    /// Look once, put the configuration in place, and end
    #[arg(long, conflicts_with_all = ["run", "print", "print_template"])]
    pub once: bool,
    /// Look once, print the configuration unchecked, and end
    #[arg(long, conflicts_with = "print_template")]
    pub print: bool,
    /// Print the ready template, and end
    #[arg(long)]
    pub print_template: bool,
    /// The pool, the swarm or the engine that is looked at.
    #[command(flatten)]
    pub manager: ManagerFlags,
}
