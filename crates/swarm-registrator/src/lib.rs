//! `swarm registrator`: writes what a host's containers publish to a service registry, and takes
//! back what is gone.
//!
//! The pure part comes first and does no I/O: `facts` (what is read of a container), `variables`
//! (`SERVICE_*`), `service` (the services of one container), `check` (their health checks), `plan`
//! (what differs between what is wanted and what is there). The rest acts: `registry` (the port), `kv`
//! and `catalogue` (its two kinds), `watcher` (the engine), `run` (the loop).
//!
//! Names, keys and variables are those of gliderlabs/registrator, so that its readers go on working.
//!
//! Invariants: only entries that bear this host's mark are removed, unless more is asked for; what is
//! not known is not removed; one container that cannot be read stops no other.

mod address;
mod catalogue;
mod check;
mod facts;
mod kv;
mod plan;
mod registry;
mod run;
mod service;
mod variables;
mod watcher;

pub use address::own_address;
pub use catalogue::ConsulServices;
pub use facts::Facts;
pub use kv::{DEFAULT_PREFIX, Keys};
pub use plan::{Plan, plan};
pub use registry::{Entry, Held, Observed, Registry, Term};
pub use run::{Config, OnStop, host_of, run};
pub use service::{Service, Settings, services};
pub use variables::tags;
pub use watcher::Watcher;
