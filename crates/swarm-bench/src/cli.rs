//! The flags of `swarm-bench`.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measure a pool manager over a fleet of simulated engines.
#[derive(Debug, Parser)]
#[command(name = "swarm-bench", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a fleet of simulated engines until standard input closes
    Fleet(Shape),
    /// Serve the page over a swarm's store without engines until standard input closes
    Swarm(SwarmShape),
    /// Measure the page in a real browser
    Page(PageOptions),
}

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Part {
    /// Start over running containers of others, and of the manager's own
    Start,
    /// Memory, idle CPU, requests to the engines
    Idle,
    /// Lists, info, inspect
    Read,
    /// Containers with a reschedule policy, kept in the manager's own store; start over them
    Kept,
    /// Create and start: one client, 64 clients, and whether it stays flat
    Create,
    /// 20,000 events per second through the manager
    Events,
    /// An engine that goes silent, and its return
    Silence,
    /// Five times the engines
    Large,
}

/// Where the simulated engines are.
#[derive(Debug, Clone, Copy, Args)]
pub struct Place {
    /// Loopback address of engine 0; 250 engines to each /24
    #[arg(long, default_value = "127.1.0.1")]
    pub base: Ipv4Addr,
    /// Port of every engine
    #[arg(long, default_value_t = 2375)]
    pub port: u16,
}

/// What is measured, and where the figures go.
#[derive(Debug, Clone, Args)]
pub struct Measured {
    /// The pool manager's binary [default: `swarm` beside this one]
    #[arg(long, env = "SWARM_BIN")]
    pub manager: Option<PathBuf>,
    /// Write the table to this file besides printing it
    #[arg(long)]
    pub markdown: Option<PathBuf>,
}

/// Flags of a run.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// A small run to see that everything works: 50 engines, 1,500 containers
    #[arg(long)]
    pub quick: bool,
    /// Engines of the main fleet [default: 1000, quick: 50]
    #[arg(long)]
    pub engines: Option<usize>,
    /// Containers on each engine at start
    #[arg(long, default_value_t = 30)]
    pub containers: usize,
    /// Engines of the large fleet [default: 5 times the main one]
    #[arg(long)]
    pub large_engines: Option<usize>,
    /// What to measure; all when absent
    #[arg(long = "only", value_enum, value_delimiter = ',')]
    pub parts: Vec<Part>,
    #[command(flatten)]
    pub measured: Measured,
    /// More flags for the manager
    #[arg(long = "manager-flag", allow_hyphen_values = true)]
    pub manager_flags: Vec<String>,
    /// Drive one simulated engine in the manager's place: what the driver itself costs
    #[arg(long)]
    pub baseline: bool,
    /// Write the figures as JSON to this file
    #[arg(long)]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub place: Place,
    /// Give up after this many seconds
    #[arg(long, default_value_t = 1200)]
    pub deadline: u64,
}

impl Options {
    /// Whether `part` was asked for.
    pub fn wants(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// Engines of the main fleet.
    pub fn engines(&self) -> usize {
        self.engines.unwrap_or(if self.quick { 50 } else { 1000 })
    }

    /// Engines of the large fleet.
    pub fn large_engines(&self) -> usize {
        self.large_engines.unwrap_or(self.engines() * 5)
    }

    /// `full` in a full run, `quick` in a quick one.
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// The shape of a fleet.
#[derive(Debug, Clone, Args)]
pub struct Shape {
    /// How many engines
    #[arg(long, default_value_t = 50)]
    pub engines: usize,
    /// Number of the first engine, for a fleet that is a part of a larger one
    #[arg(long, default_value_t = 0)]
    pub first: usize,
    /// Containers on each at start
    #[arg(long, default_value_t = 30)]
    pub containers: usize,
    /// How many of all containers run [default: all]
    #[arg(long)]
    pub running: Option<usize>,
    /// Mark them as the manager's own (label com.docker.swarm.id)
    #[arg(long)]
    pub manager_labels: bool,
    #[command(flatten)]
    pub place: Place,
    /// Pretend to be Docker 28 instead of 20.10
    #[arg(long)]
    pub docker28: bool,
}

/// How large a swarm is.
#[derive(Debug, Clone, Copy, Args)]
pub struct Size {
    /// How many nodes
    #[arg(long, default_value_t = 1000)]
    pub nodes: usize,
    /// How many services a swarm has
    #[arg(long, default_value_t = 1000)]
    pub services: usize,
}

/// What the store of a swarm without engines is filled with.
#[derive(Debug, Clone, Args)]
pub struct SwarmShape {
    #[command(flatten)]
    pub size: Size,
    /// How many tasks
    #[arg(long, default_value_t = 30_000)]
    pub tasks: usize,
}

/// Whose page is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PageKind {
    /// A manager over simulated engines
    Pool,
    /// A swarm's store, filled
    Swarm,
}

/// Flags of `page`.
#[derive(Debug, Clone, Args)]
pub struct PageOptions {
    /// Whose page
    #[arg(long, value_enum, default_value_t = PageKind::Swarm)]
    pub kind: PageKind,
    #[command(flatten)]
    pub size: Size,
    /// How many containers or tasks
    #[arg(long, default_value_t = 30_000)]
    pub tiles: usize,
    /// How many tiles change per second, where any do
    #[arg(long, default_value_t = 100)]
    pub rate: u32,
    #[command(flatten)]
    pub measured: Measured,
    #[command(flatten)]
    pub place: Place,
}

impl PageOptions {
    /// Tiles of each node.
    pub fn per_node(&self) -> usize {
        (self.tiles / self.size.nodes.max(1)).max(1)
    }

    /// All tiles: as many on each node.
    pub fn tiles(&self) -> usize {
        self.per_node() * self.size.nodes
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_that_several_commands_have_are_the_same() {
        Cli::command().debug_assert();
        let place = ["--base", "127.9.0.1", "--port", "99"];
        let parsed = |words: &[&str]| {
            Cli::parse_from(["swarm-bench"].iter().chain(words).chain(&place)).command
        };
        let Some(Command::Page(page)) = parsed(&["page", "--nodes", "3", "--tiles", "10"]) else {
            panic!("no page")
        };
        assert_eq!((page.size.nodes, page.size.services, page.tiles()), (3, 1000, 9));
        assert_eq!((page.place.base, page.place.port), (Ipv4Addr::new(127, 9, 0, 1), 99));
        let Some(Command::Fleet(fleet)) = parsed(&["fleet"]) else { panic!("no fleet") };
        assert_eq!((fleet.place.port, fleet.engines), (99, 50));
        let options = Cli::parse_from(["swarm-bench", "--markdown", "t.md"]).options;
        assert_eq!(options.measured.markdown, Some(PathBuf::from("t.md")));
        assert_eq!(options.place.port, 2375);
    }
}
