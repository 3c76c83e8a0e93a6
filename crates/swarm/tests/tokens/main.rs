//! Tokens end to end: `swarm discovery`, `create`, `join`, `list` and `manage` as processes, and
//! the backend of `token://` over the real service.
#![allow(clippy::unwrap_used)] // A test's helpers may fail as its tests may.

#[path = "../manage/daemon.rs"]
mod daemon;

mod backend;
mod commands;
mod rig;
mod tls;
mod traffic;
