//! The same metrics sent by UDP, for those who watch with StatsD, Datadog and their like.
//!
//! `samples` reads what is registered, `wire` writes it in the receiver's notation, `ledger` knows
//! what the receiver has been told already, and `sender` is the task that sends.
//!
//! Invariants: no datagram is longer than [`LARGEST`]; of a counter every unit is sent once, and what
//! could not be sent is part of what is sent next; nobody but the task itself waits for the network.

mod ledger;
mod samples;
mod sender;
mod wire;

pub use sender::{StatsdConfig, send};
pub use wire::Dialect;

/// Bytes of a datagram: what an Ethernet frame carries with room for tunnels' headers, so that none
/// is cut into fragments, which networks like to lose.
pub const LARGEST: usize = 1432;
