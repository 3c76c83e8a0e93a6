//! The embedded store of `swarm manage`: the state machine of `swarm-store`, replicated among
//! managers by a consensus library and kept sealed on each one's disk; no outside store is needed.
//!
//! A single manager needs no network at all. Several talk TLS 1.3 with certificates that they issue
//! themselves, and take in others by join tokens; or, as the managers of a swarm, over connections
//! that are given to them (`transport`). What the store's keys mean is left to those who keep them;
//! which keys a pool's node may touch is the one exception.
//!
//! In reading order: `options`, `embedded` (open, close), `store` (the calls), `core` (linearizable reads),
//! `propose` (writing through the leader), `journal` and `state` (what the library keeps), `disk`, `writer`,
//! `seal` and `key` (how it is kept), `loading`, `unusable` and `aside` (what becomes of damage), `origin` and
//! `trust` (who a manager is), `net` (the wire),
//! `import`,
//! `members`, `duties`, `leading`, `renewals`, `watch`, and `remote`: the store as one sees it who is no manager.
//!
//! Invariants:
//! - what was answered is on the disks of a quorum;
//! - a read sees every write that was answered before it began, through whichever manager;
//! - what may or may not have been done is told as such, and never tried again here.

mod anew;
mod aside;
mod core;
mod disk;
mod duties;
mod embedded;
#[cfg(feature = "faults")]
mod faults;
#[cfg(test)]
mod forms;
mod import;
mod journal;
mod key;
mod kinds;
mod leading;
mod loading;
mod mark;
mod members;
mod net;
mod options;
mod origin;
mod propose;
mod remote;
mod renewals;
mod seal;
mod state;
mod store;
#[cfg(test)]
mod suite;
mod swarm;
mod transport;
mod trust;
mod unusable;
mod watch;
mod writer;

pub use aside::kept_aside;
pub use embedded::Embedded;
pub use import::import;
pub use key::StoreLock;
pub use members::{Member, Tokens};
pub use options::{EmbeddedOptions, Join, Timing};
pub use remote::Remote;
pub use swarm_store::LARGEST_VALUE;
pub use transport::{Stream, Swarm, Transport};
pub use trust::{Role, TokenError};

/// Where managers reach each other, and nodes them, where no port is given.
pub const DEFAULT_PORT: u16 = 2378;
