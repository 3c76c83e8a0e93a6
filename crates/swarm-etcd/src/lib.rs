//! The store of a pool in etcd, over its v3 gRPC API: a client of our own on `hyper`'s HTTP/2.
//!
//! It leaves what is kept, and where, to those who keep it; this is the port `swarm_kv::KeyValue`
//! and nothing more. Reading order: `store` (the port), `read`, `write`, `lease`, `watch` (its parts),
//! `client` (one call: endpoints, deadline, token), `fault` (what an error means), `connection`,
//! `dial`, `socket`, `tls`.
//!
//! Invariants:
//! - every read and write needs the cluster's quorum: no answer is older than the call;
//! - a write is sent only to an endpoint that has just answered something, so that none lies in the
//!   queue of a silent one and is done long after it was given up;
//! - a write whose answer was lost is told as done or as in conflict only where that is certain.

mod ask;
mod auth;
mod client;
mod connection;
mod dial;
mod endpoints;
mod fault;
mod lease;
mod proto;
mod read;
mod socket;
mod store;
mod tls;
mod watch;
mod write;

pub use store::{DEFAULT_PORT, Etcd};
