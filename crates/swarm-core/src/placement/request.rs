//! What a new container (or a build) asks of placement.
//!
//! [`Request`] is plain data; [`super::extract`] reads it from the body of a create or the inputs
//! of a build.

use swarm_model::Policy;

use super::expr::Expr;
use super::node::{NodeId, Resources};
use super::ports::{PortUse, PortWish};

/// Prefix of every label classic Swarm keeps on containers.
pub const LABEL_PREFIX: &str = "com.docker.swarm.";
/// The container's id in the pool, which survives rescheduling.
pub const LABEL_ID: &str = "com.docker.swarm.id";
/// JSON array of constraints.
pub const LABEL_CONSTRAINTS: &str = "com.docker.swarm.constraints";
/// JSON array of affinities.
pub const LABEL_AFFINITIES: &str = "com.docker.swarm.affinities";
/// JSON array of whitelists.
pub const LABEL_WHITELISTS: &str = "com.docker.swarm.whitelists";
/// JSON array of reschedule policies (at most one).
pub const LABEL_RESCHEDULE: &str = "com.docker.swarm.reschedule-policies";

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The wished name, without a leading slash; empty when the engine is to find one.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// Reserved processor (`-c`, `--cpus`) and memory (`-m`); 0 where nothing is reserved.
    pub resources: Resources,
    /// `-c`: whole CPUs, which go to the engine as shares ([`super::cpu`]); 0 when not given.
    pub cpus: i64,
    /// Host ports to publish; those that the engine may choose freely are left out.
    pub ports: Vec<PortWish>,
    /// Exposed ports of a container in the host's network, where they are the host's.
    pub host_ports: Vec<PortUse>,
    /// Containers that must be on the same engine.
    pub dependencies: Vec<Dependency>,
    /// The container's labels, consolidated; other requests' affinities match on them.
    pub labels: Vec<(String, String)>,
    /// Hard and soft constraints.
    pub constraints: Vec<Expr>,
    /// Hard and soft affinities.
    pub affinities: Vec<Expr>,
    /// Whitelists of nodes.
    pub whitelists: Vec<Expr>,
    /// What to do when the engine fails; `None` when the pool's default applies.
    pub reschedule: Option<Policy>,
    /// `com.docker.swarm.id`, when the body already has one.
    pub swarm_id: Option<String>,
    /// Whether engines that have the image count more, or alone.
    pub image_affinity: ImageAffinity,
    /// Engines that already failed this very request (`swarm.createretry`): not tried again.
    pub tried: Vec<NodeId>,
}

impl Request {
    /// How messages call it: its name, or else its image.
    pub fn subject(&self) -> &str {
        if self.name.is_empty() { &self.image } else { &self.name }
    }

    /// Whether a hard `node==` constraint is there; classic then never retries with an image
    /// affinity and adds no node of its own choice.
    pub fn is_pinned(&self) -> bool {
        self.constraints.iter().any(|expr| {
            expr.key() == "node"
                && expr.operator() == super::expr::Operator::Equal
                && !expr.is_soft()
        })
    }
}

/// One container that must be on the same engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The option that asks for it.
    pub kind: DependencyKind,
    /// The container's name or id.
    pub container: String,
    /// The option's whole value, for messages.
    pub value: String,
}

impl std::fmt::Display for Dependency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "--{}={}", self.kind.option(), self.value)
    }
}

/// Options that tie a container to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DependencyKind {
    /// `--link`
    Link,
    /// `--volumes-from`
    VolumesFrom,
    /// `--net=container:`
    Network,
    /// `--ipc=container:`
    Ipc,
    /// `--pid=container:`
    Pid,
}

impl DependencyKind {
    /// The CLI's option without its dashes.
    pub fn option(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::VolumesFrom => "volumes-from",
            Self::Network => "net",
            Self::Ipc => "ipc",
            Self::Pid => "pid",
        }
    }
}

/// Whether having the image matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ImageAffinity {
    /// It does not: the engine pulls.
    #[default]
    None,
    /// `image==~X`: engines that have it come first. The first preference to be dropped.
    Soft,
    /// `image==X`: only engines that have it, as after a pull that found nothing.
    Hard,
}
