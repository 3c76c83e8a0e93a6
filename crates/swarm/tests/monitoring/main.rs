//! What `contrib/` has for those who watch a pool: the alerts, run by Prometheus's own checker over
//! made-up series, and every metric and label that they and the dashboard name, looked for in what a
//! running manager tells.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail as its tests may.

mod alerts;
#[path = "../manage/daemon.rs"]
#[allow(dead_code)]
mod daemon;
mod dashboard;
mod expressions;
mod published;
mod series;

use std::path::PathBuf;

/// A file of `contrib/`, or of `docs/`.
fn repository(path: &str) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    PathBuf::from(root).join(path).canonicalize().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap()
}
