//! Several managers over real sockets: what a replica does with requests of every kind, and what
//! clients see when primaries come and go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod failover;
#[path = "../../../swarm-api/tests/fake/mod.rs"]
mod fake;
mod pools;
mod requests;
mod rig;
mod streams;
mod tls;
mod wire;
