//! What is done where and in which order, as data: a dry run prints it, `apply` does it. Pure.
//!
//! Invariant: the sentence of a step says what it changes.

mod down;
mod pool;
mod up;

use std::fmt;

pub use down::{DownWish, plan_down};
pub use pool::{Service, USUAL_PORT, part, place, plan_pool_up};
pub use up::{EndpointWish, UpWish, name, plan_up, unit};

use crate::manifest::{Endpoint, Manifest};
use crate::script::{BINARY, MANIFEST, RUN, UNIT, UNIT_FILE};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which of the machines.
    pub host: usize,
    /// What is done there.
    pub action: Action,
}

/// What is done on a machine. `by` is the machine of a manager that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The manifest is written: before what it names.
    Manifest(Manifest),
    /// The binary is put in its place.
    Binary {
        /// In words.
        what: String,
        /// Whether another one is replaced.
        replaces: bool,
    },
    /// The unit is put in its place.
    Unit,
    /// What an endpoint on TCP needs is put in its place.
    Endpoint(Endpoint),
    /// A certificate for a machine of a pool is put in its place.
    Certificate(Endpoint),
    /// The token that a service of a pool needs is put in its place.
    Token {
        /// Who tells it.
        by: usize,
        /// That one, in words.
        through: String,
        /// Which service.
        service: Service,
    },
    /// The unit of a service of a pool is put in its place.
    Service {
        /// Which.
        service: Service,
        /// What is in it.
        text: String,
    },
    /// A service of a pool is turned on.
    Serve {
        /// Which.
        service: Service,
        /// It runs, and is started again.
        again: bool,
    },
    /// The engines of a pool are waited for.
    Engines {
        /// Who is asked.
        by: usize,
        /// Their addresses.
        engines: Vec<String>,
    },
    /// A service of a pool is turned off.
    Halt(Service),
    /// A pool's manager leaves the store that it keeps with others.
    LeaveStore {
        /// Its own command line.
        line: Vec<String>,
    },
    /// The daemon is turned on.
    Start,
    /// The daemon is started again, with what is new.
    Restart,
    /// The swarm begins here.
    Begin {
        /// Its name.
        name: String,
        /// Where others reach this node.
        advertise: Option<String>,
    },
    /// It joins the swarm.
    Join {
        /// Who is asked for the token.
        by: usize,
        /// That one, in words.
        through: String,
        /// As a manager, or as a worker.
        manager: bool,
        /// Where others reach this node.
        advertise: Option<String>,
    },
    /// A worker becomes a manager.
    Promote {
        /// Who is told.
        by: usize,
        /// The node.
        node: String,
    },
    /// All nodes are waited for.
    Ready {
        /// Who is asked.
        by: usize,
        /// How many there have to be.
        nodes: usize,
        /// How many of them are managers.
        managers: usize,
    },
    /// Its tasks go to other nodes.
    Drain {
        /// Who is told.
        by: usize,
        /// The node.
        node: String,
    },
    /// A manager becomes a worker.
    Demote {
        /// Who is told.
        by: usize,
        /// The node.
        node: String,
    },
    /// It leaves the swarm.
    Leave {
        /// Though it is a manager, or not well.
        force: bool,
    },
    /// It is taken out of the swarm's list.
    Remove {
        /// Who is told.
        by: usize,
        /// The node.
        node: String,
    },
    /// The daemon is turned off.
    Stop,
    /// What the manifest names is removed.
    Clean(Manifest),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = |manager: bool| if manager { "a manager" } else { "a worker" };
        let at = |advertise: &Option<String>| {
            advertise.as_ref().map(|address| format!(", at {address}")).unwrap_or_default()
        };
        match self {
            Self::Manifest(manifest) => {
                write!(f, "note in {MANIFEST} what is put here, for {}", manifest.cluster)
            }
            Self::Binary { what, replaces: false } => write!(f, "put {what} to {BINARY}"),
            Self::Binary { what, replaces: true } => {
                write!(f, "put {what} to {BINARY}, over the one that is there")
            }
            Self::Unit => write!(f, "put the unit to {UNIT_FILE}"),
            Self::Endpoint(endpoint) => {
                write!(
                    f,
                    "have all nodes served as one engine on port {} by TLS, ",
                    endpoint.port
                )?;
                write!(f, "with a certificate for {}", endpoint.names.join(", "))
            }
            Self::Certificate(endpoint) => {
                write!(f, "put a certificate for {} here", endpoint.names.join(", "))
            }
            Self::Token { through, service, .. } => {
                write!(f, "put the pool's token for its {service} to {}", service.token())?;
                write!(f, ", from {through}")
            }
            Self::Service { service, .. } => write!(f, "put the unit to {}", service.file()),
            Self::Serve { service, again: false } => write!(f, "turn {} on", service.unit()),
            Self::Serve { service, again: true } => {
                write!(f, "restart {} (containers go on)", service.unit())
            }
            Self::Engines { engines, .. } => {
                write!(f, "wait until {} in the pool", are(engines.len(), "engine"))
            }
            Self::Halt(service) => write!(f, "turn {} off", service.unit()),
            Self::LeaveStore { .. } => f.write_str("leave the managers' store"),
            Self::Start => write!(f, "turn {UNIT} on"),
            Self::Restart => write!(f, "restart {UNIT} (containers go on)"),
            Self::Begin { name, advertise } => {
                write!(f, "begin the swarm {name} as its manager{}", at(advertise))
            }
            Self::Join { through, manager, advertise, .. } => {
                write!(f, "join as {} through {through}{}", role(*manager), at(advertise))
            }
            Self::Promote { .. } => f.write_str("make this worker a manager"),
            Self::Ready { nodes, managers, .. } => {
                write!(
                    f,
                    "wait until {} {} ready, {}",
                    count(*nodes, "node"),
                    if *nodes == 1 { "is" } else { "are" },
                    count(*managers, "manager")
                )
            }
            Self::Drain { .. } => f.write_str("drain it: its tasks go to other nodes"),
            Self::Demote { .. } => f.write_str("make this manager a worker"),
            Self::Leave { force: false } => f.write_str("leave the swarm"),
            Self::Leave { force: true } => f.write_str("leave the swarm by force"),
            Self::Remove { .. } => f.write_str("take it out of the list of nodes"),
            Self::Stop => write!(f, "turn {UNIT} off"),
            Self::Clean(manifest) => {
                let (files, folders) = (manifest.files.iter(), manifest.folders.iter());
                let files = files.map(String::as_str).chain([RUN]);
                let all: Vec<_> =
                    files.chain(folders.map(String::as_str)).chain([MANIFEST]).collect();
                write!(f, "remove {}", all.join(", "))
            }
        }
    }
}

impl Action {
    /// Whether a person who sees nothing may wonder.
    pub fn may_take_long(&self) -> bool {
        matches!(
            self,
            Self::Binary { .. } | Self::Ready { .. } | Self::Engines { .. } | Self::Drain { .. }
        )
    }
}

/// `1 node is`, `3 nodes are`.
fn are(number: usize, what: &str) -> String {
    format!("{} {}", count(number, what), if number == 1 { "is" } else { "are" })
}

/// `1 node`, `3 nodes`.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// All steps. Those of a stage are done side by side on their machines, one after the other on each; the
/// next stage waits for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The cluster's name.
    pub name: String,
    /// In this order.
    pub stages: Vec<Vec<Step>>,
    /// What should be known: a machine and words.
    pub notes: Vec<(usize, String)>,
    /// What is to be done by the person afterwards.
    pub afterwards: Vec<String>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// All steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flatten()
    }

    /// The machine of a manager, where the plan knows one.
    pub fn manager(&self) -> Option<usize> {
        self.steps().find_map(|step| match step.action {
            Action::Ready { by, .. } => Some(by),
            _ => None,
        })
    }

    fn stage(&mut self, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.stages.push(steps);
        }
    }

    /// Each in a stage of its own.
    fn one_by_one(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.stages.extend(steps.into_iter().map(|step| vec![step]));
    }
}
