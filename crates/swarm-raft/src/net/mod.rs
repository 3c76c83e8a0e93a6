//! The wire between managers, and between nodes and managers: one TLS connection carries one call
//! at a time, as frames of bounded size. A call that is under way never stands in another's way;
//! connections are kept for the next one.

mod access;
mod append;
mod link;
mod peers;
mod raft;
mod serve;
#[cfg(test)]
mod strangers;
pub(crate) mod wire;

pub(crate) use link::{Dialer, Link, LinkError};
pub(crate) use peers::Peers;
pub(crate) use raft::Network;
pub(crate) use serve::{ALIVE, TAKEN, serve, take};
pub(crate) use wire::{Fault, Joined, PlainChange, Reply, Request, unplain};
