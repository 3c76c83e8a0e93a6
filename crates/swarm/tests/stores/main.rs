//! The program over each real store, with simulated engines: managers that take over from each
//! other, and what is said where something is wrong. What needs real engines is in swarm-e2e.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../manage/daemon.rs"]
mod daemon;
mod embedded;
mod replication;
mod rig;
mod words;
