//! What the nodes of a swarm say to each other: `proto/swarm.proto`, the code made from it, and the
//! connections under it. One port of a manager serves all of it; what a connection is for is said in
//! its TLS handshake (ALPN).
//!
//! It leaves to others: who may come and what certificates say (the TLS configurations are given,
//! ready), what a call does, and when a node is removed.
//!
//! In reading order: `peer` (who called), `services` (calls by name), `connections` (those that are
//! open, and closing them), [`preamble`] (which tunnel a connection is), `server`, `client` (and `heard`).
//!
//! Invariant: a connection is closed, or was never let in, once its node was refused and
//! [`Connections::close`] was called.

mod client;
mod connections;
mod heard;
mod peer;
pub mod preamble;
mod server;
mod services;

use std::time::{SystemTime, UNIX_EPOCH};

pub use client::{ConnectError, connect, dial, tls_cause};
pub use connections::{Connections, Watched};
pub use peer::Peer;
pub use server::{Admit, Route, Server, Taken};
pub use services::Services;

/// Calls between nodes.
pub const CALLS: &[u8] = b"h2";
/// The store's managers among each other.
pub const RAFT: &[u8] = b"swarm-raft";
/// Renewal alone, for certificates that may have ended.
pub const RENEWAL: &[u8] = b"swarm-renew";

/// Tunnels to the engines of nodes, opened by them.
pub const ENGINE: &[u8] = b"swarm-engine";
/// Clients of the cluster endpoint that another manager passes on.
pub const CLUSTER: &[u8] = b"swarm-cluster";

/// This machine's clock as messages tell it, in nanoseconds since 1970; before that 0, which is no time.
pub fn clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Messages and services.
#[allow(clippy::pedantic, clippy::unwrap_used, missing_debug_implementations, missing_docs)] // Generated.
pub mod v1 {
    tonic::include_proto!("swarm.v1");
}
