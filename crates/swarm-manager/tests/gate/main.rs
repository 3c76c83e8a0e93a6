//! Managers behind their ports: real TLS over loopback, with certificates of the swarm's authority.

#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail as its tests may.

mod authority;
mod manager;
mod managers;
mod removed;
mod stalled;
mod ways;
