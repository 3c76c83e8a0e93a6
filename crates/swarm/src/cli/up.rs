//! The flags of `swarm up`, `swarm down` and `swarm dial-stdio`.

use clap::Args;

pub(super) const UP_HELP: &str = "\
Examples:
  swarm up root@10.0.0.11 root@10.0.0.12 root@10.0.0.13     a swarm: one manager, two workers
  swarm up --name prod --managers 3 h1 h2 h3 h4 h5          a name, three managers
  swarm up h1 ssh://ann@h6:2222                             h6 joins the swarm that h1 is in
  swarm up --manager h2 h1 h2                               h2, a worker so far, becomes a manager
  swarm up --endpoint 3376 h1 h2 h3                         all nodes as one engine, by TLS on managers
  swarm up --pool h1 h2 h3                                  a pool instead: h1 serves the three engines as one
  swarm up --pool --name prod --managers 3 h1 h2 h3 h4      three managers, one of which may be lost
  swarm up --dry-run h1 h2 h3                               show each step, change nothing

A machine is written as for ssh, and reached with your ssh's configuration, keys and jump hosts. It needs
systemd, a Docker Engine, and root or sudo without a password. Of an existing swarm name a manager too.
Run again, it does what is missing and nothing else; another binary is replaced by this one, unless it is
of a newer version. Only managers' port 2377 (TCP) listens, and the endpoint's where one is asked for; no
firewall is changed. In a pool an agent serves each machine's engine on port 2376, and managers have 2378
and 3376, all by TLS.

Exit codes: 0 done, or nothing to do; 1 not done, told why; 2 the command line is wrong";

pub(super) const DOWN_HELP: &str = "\
Examples:
  swarm down --manager h1 h3         h3 leaves the swarm, h1 is asked to take it out of the list
  swarm down h1 h2 h3                all of it; the machines are what they were before swarm up
  swarm down --dry-run h3            show each step, change nothing

A node is drained, a manager is made a worker first; then it leaves, its daemon is turned off, and what
swarm up has put there is removed. The engine, its images and other containers stay. What would end a swarm
with services, leave nodes without a manager or managers without a quorum needs --force; and so does a
manager whose daemon does not run, where no other one answers for it, and a daemon that is not well.

Exit codes: 0 done, or nothing to do; 1 not done, told why; 2 the command line is wrong";

/// How machines are reached.
#[derive(Debug, Default, Args)]
pub struct SshFlags {
    /// The ssh command, with options of its own: 'ssh -F FILE'; it is split at blanks and knows no quotes
    /// [default: ssh] [env: SWARM_SSH]
    #[arg(long, value_name = "COMMAND", help_heading = "SSH")]
    pub ssh: Option<String>,
}

/// Flags of `swarm up`.
#[derive(Debug, Default, Args)]
pub struct UpFlags {
    /// Machines: [USER@]HOST or ssh://[USER@]HOST[:PORT]
    #[arg(value_name = "HOST", required = true)]
    pub hosts: Vec<String>,
    /// Make the machines a pool instead of a swarm: their engines, served as one by managers
    #[arg(long)]
    pub pool: bool,
    /// The cluster's name, when it begins; later it is recognised by it [default: default]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A machine that is to be a manager; one of the HOSTs, or one more; may be repeated
    #[arg(long = "manager", value_name = "HOST")]
    pub managers: Vec<String>,
    /// How many of the machines are to be managers: the first ones, beside those that are [default: 1,
    /// when the cluster begins]
    #[arg(long = "managers", value_name = "NUMBER", allow_hyphen_values = true)]
    pub count: Option<String>,
    /// Where other nodes reach a machine: HOST=ADDRESS, an address or an interface; may be repeated
    /// [default: the address at which ssh reached it]
    #[arg(long = "advertise-addr", value_name = "HOST=ADDRESS")]
    pub advertise: Vec<String>,
    /// Have managers serve all nodes as one engine on this TCP port, to clients with a certificate; these
    /// are made [default: no TCP port; of a pool 3376]
    #[arg(long, value_name = "PORT", help_heading = "Endpoint", allow_hyphen_values = true)]
    pub endpoint: Option<String>,
    /// Folder of the endpoint's certificates, for docker's DOCKER_CERT_PATH; an authority and a client's
    /// certificate are made there once [default: swarm/NAME in $XDG_CONFIG_HOME or ~/.config]
    #[arg(long, value_name = "FOLDER", help_heading = "Endpoint")]
    pub certs: Option<String>,
    /// The binary to put there, for machines of another kind than this one [default: this program]
    #[arg(long, value_name = "FILE")]
    pub binary: Option<String>,
    /// Show each step, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How machines are reached.
    #[command(flatten)]
    pub ssh: SshFlags,
}

/// Flags of `swarm down`.
#[derive(Debug, Default, Args)]
pub struct DownFlags {
    /// Machines: [USER@]HOST or ssh://[USER@]HOST[:PORT]
    #[arg(value_name = "HOST", required = true)]
    pub hosts: Vec<String>,
    /// A manager that stays, to be asked to take the others out; may be repeated
    #[arg(long = "manager", value_name = "HOST")]
    pub managers: Vec<String>,
    /// Also where the swarm loses services, its managers or its quorum by it, or nobody knows what it loses
    #[arg(short, long)]
    pub force: bool,
    /// Show each step, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How machines are reached.
    #[command(flatten)]
    pub ssh: SshFlags,
}

/// Flags of `swarm dial-stdio`.
#[derive(Debug, Args)]
pub struct DialFlags {
    /// The socket [default: /run/swarm/docker.sock]
    #[arg(value_name = "SOCKET")]
    pub socket: Option<String>,
}
