//! Running tasks as containers of the node's engine.
//!
//! Reading order: [`seen`] (what the engine says), [`decide`] (what is next; pure), `engine` and
//! [`pull`] (the calls), `runner` (one task), `worker` (all of them), `events` (whose container is to be
//! looked at).
//!
//! Invariants: each task has one runner, which alone touches its container; an engine that does not
//! answer fails no task; runners begin only after the engine's containers were listed, so that what runs
//! is found and not made twice.

pub mod decide;
pub mod directory;
pub mod engine;
pub(crate) mod events;
pub mod pull;
mod runner;
pub mod seen;
pub(crate) mod worker;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use crate::convert::NodeFacts;
use crate::files::{DataStore, Files};
use crate::report::Reports;

/// Calls that make the engine work, at once. More only wait for each other in the engine.
const AT_ONCE: usize = 16;

/// What all runners share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub engine: engine::Engine,
    pub cluster: String,
    pub facts: ArcSwap<NodeFacts>,
    /// What the node's owner allows beyond Docker's.
    pub allows: Vec<String>,
    pub reports: Reports,
    pub pulls: pull::Pulls,
    pub files: Files,
    pub data: DataStore,
    pub directory: directory::Directory,
    pub work: Semaphore,
}

impl Shared {
    pub(crate) fn new(
        engine: engine::Engine,
        cluster: &str,
        files: Files,
        allows: Vec<String>,
    ) -> Arc<Self> {
        // Known before the engine has said anything.
        let facts = NodeFacts { allows: allows.clone(), ..NodeFacts::default() };
        Arc::new(Self {
            engine,
            cluster: cluster.to_owned(),
            facts: ArcSwap::from_pointee(facts),
            allows,
            reports: Reports::default(),
            pulls: pull::Pulls::default(),
            files,
            data: DataStore::default(),
            directory: directory::Directory::default(),
            work: Semaphore::new(AT_ONCE),
        })
    }
}
