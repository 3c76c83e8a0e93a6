//! With what the embedded store is opened.

use std::path::PathBuf;
use std::time::Duration;

use swarm_kv::{Layout, Secret};
use tokio::net::TcpListener;

use crate::key::StoreLock;
use crate::transport::Swarm;

/// How long any one call may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// With what the embedded store is opened.
#[derive(Debug)]
pub struct EmbeddedOptions {
    /// Where its files are; made where it is not there. One process has it at a time.
    pub data_dir: PathBuf,
    /// `HOST:PORT` where other managers and nodes reach it; the listener's own address where that
    /// is a certain one.
    pub advertise: Option<String>,
    /// Where it is reached; without one it is alone, and reached by nobody.
    pub listen: Option<TcpListener>,
    /// Whom to join, where its folder is empty.
    pub join: Option<Join>,
    /// Among the managers of a swarm: `listen` and `join` are not given then, and `advertise` is.
    pub swarm: Option<Swarm>,
    /// For one start of a manager whose pool lost its quorum for good: it goes on alone with what it
    /// has, as a pool of one that others can join again. The lost ones must not come back.
    pub alone: bool,
    /// Under what the store's key is, or is to be where the folder is empty; `None` for a plain one.
    pub lock: Option<StoreLock>,
    /// How long any one call may take.
    pub deadline: Duration,
    /// What nodes may use.
    pub nodes: Layout,
    /// How soon managers notice that their leader is gone.
    pub timing: Timing,
}

/// Whom to join.
#[derive(Debug, Clone)]
pub struct Join {
    /// `HOST:PORT` of managers; one that answers is enough.
    pub peers: Vec<String>,
    /// A manager token of the pool.
    pub token: Secret,
}

/// How soon managers notice that their leader is gone. All managers of a pool should have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How often the leader says that it is there.
    pub heartbeat: Duration,
    /// After how long without that the others choose a new one; each waits up to half as long again,
    /// by chance. A write is possible again after about two and a half times this. At least three
    /// heartbeats.
    pub election: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat: Duration::from_millis(100), election: Duration::from_millis(300) }
    }
}

impl EmbeddedOptions {
    /// A single manager that keeps its files in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            advertise: None,
            listen: None,
            join: None,
            swarm: None,
            alone: false,
            lock: None,
            deadline: DEADLINE,
            nodes: Layout::new("", None),
            timing: Timing::default(),
        }
    }
}
