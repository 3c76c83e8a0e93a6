//! `swarm proxy`: keeps the configuration of nginx or HAProxy as the live state of a pool or an engine
//! asks for.
//!
//! The pure part comes first and does no I/O: `container` and `cluster` (what is read of the Docker API),
//! `sight` (one look at all of it), `reach` (where a port is reached), `words` (what labels and variables
//! say), `sites` (hosts, paths and the backends behind them), `template` (all that as text). The rest
//! acts: `watcher` (looks, and hears that something happened), `shell` (the user's commands), `place` (a
//! checked file in its place), `process` (the proxy as a child), `orphan` (one that outlived its
//! parent), `reload`, `run` (the loop).
//!
//! Invariants: what the proxy's own checker refuses is never put in place; nothing that a container says
//! of itself can become more than one word of a configuration unless the template's author says so; while
//! the endpoint is away, or does not know its own nodes yet, the last configuration stays.

mod cluster;
mod container;
mod orphan;
mod place;
mod process;
mod reach;
mod reload;
mod run;
mod shell;
mod sight;
mod sites;
mod template;
mod watcher;
mod words;

pub use cluster::{Node, Service, ServicePort, Task};
pub use container::{Container, Lasting, Port};
pub use place::{NotPlaced, Placed, place};
pub use process::{Kind, Process};
pub use reach::{Endpoint, Settings};
pub use reload::Reload;
pub use run::{Config, NotDone, once, rendered, run};
pub use shell::{Failed, shell};
pub use sight::Sight;
pub use sites::{Backend, Location, Site, sites};
pub use template::{BadTemplate, Template};
pub use watcher::Watcher;
