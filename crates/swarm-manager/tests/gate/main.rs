//! Managers behind their ports: real TLS over loopback, with certificates of the swarm's authority.

#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail as its tests may.

mod authority;
mod cluster;
mod external;
mod manager;
mod managers;
mod removed;
#[path = "../../../swarm-ca/tests/ca/signing_server.rs"]
#[allow(dead_code, missing_docs)] // Its other conducts are tried where it is at home.
mod signing_server;
mod stalled;
mod transfer;
mod ways;
