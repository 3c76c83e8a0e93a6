//! The harness of the end-to-end tests: the real `docker` client and Compose against a real
//! `swarm manage` over real engines in a lab.
//!
//! A test file needs three lines to begin:
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let lab = swarm_e2e::exclusive()?; // three clean hosts, this test's alone meanwhile
//! let pool = swarm_e2e::Pool::start(&lab, &["--strategy", "spread"])?;
//! let id = pool.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "60"]).ok()?;
//! # let _ = id;
//! # Ok(())
//! # }
//! ```
//!
//! - `labs`: which lab a test gets: `exclusive`, `shared`, or a `Scratch` of its own.
//! - `pool`: a manager over a lab, and the clients that talk to it.
//! - `managers`: three managers that replicate among themselves.
//! - `machines`: hosts with systemd and sshd, for `swarm up`.
//! - `daemons`: `swarm daemon` on each host.
//! - `linear`: answers of managers that fail, judged as a whole.
//! - `torture`: seeded rounds of faults, and checkers over what happened in them.
//! - `client`: running a client to its end, and what it said.
//! - `watch`: a client that runs beside the test, and what it has printed.
//! - `load`: many short requests (`exchange`: one), and what became of each.
//! - `proxied`: `swarm proxy` with a real proxy.
//! - `ask`: one request spelt by the test itself.
//! - `stored`: a pool whose discovery is a real store.
//! - `docs`: the documentation's blocks, and machines on which they run.
//! - `certs`: certificates for TLS tests.
//! - `doorway`: a way into a host of a lab, for a browser.
//! - `browser`: chromium (`devtools`: what its driver has no command for), `board`: what it shows of a page's
//!   board, and `shown`: a manager with its page over simulated engines, for it.
//!
//! Invariants: every lab goes down with the test process, also a killed one; every client
//! command has a deadline; nothing waits by sleeping, [`until`] looks until a deadline.

mod ask;
mod binaries;
mod board;
mod browser;
mod certs;
mod client;
mod daemons;
mod devtools;
pub mod docs;
mod doorway;
mod exchange;
mod labs;
pub mod linear;
mod load;
mod machines;
mod managers;
mod pool;
mod proxied;
mod shown;
mod stored;
pub mod torture;
mod watch;

pub use ask::{Answered, ask, ask_raw, ask_within, connect};
pub use binaries::{static_swarm, stripped, swarm, xtask};
pub use board::Column;
pub use browser::Browser;
pub use certs::Certs;
pub use client::{Client, Ran};
pub use daemons::Daemons;
pub use doorway::Doorway;
pub use exchange::{Kept, get};
pub use labs::{Exclusive, IMAGE, Scratch, Shared, exclusive, name, shared};
pub use load::{Load, Manner, Miss, Tally};
pub use machines::Machines;
pub use managers::Managers;
pub use pool::{Pool, host_number};
pub use proxied::Proxied;
pub use shown::Shown;
pub use stored::Stored;
pub use swarm_testkit::lab::{
    HostConfig, Lab, LabConfig, Manager, Newer, RegistryConfig, RegistryPlace, run, until,
};
pub use swarm_testkit::stores::Kind;
pub use watch::Watch;
