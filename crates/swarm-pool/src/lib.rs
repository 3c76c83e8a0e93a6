//! Pool mode's runtime: many stock engines behind the ports of one.
//!
//! Each engine has one worker that owns its state (`engine/`); readers use published snapshots.
//! `election` says whether this manager is the primary of several. `members` follows discovery, `index` finds containers, `scheduler` holds reservations between
//! a placement and its outcome, `backend/` implements the Docker API's ports. Decisions are
//! `swarm-core`'s, HTTP requests `swarm-api`'s.

mod backend;
mod clock;
mod config;
mod credentials;
mod election;
mod engine;
mod events;
mod fanout;
mod forward;
mod held;
mod index;
mod keeper;
mod ledger;
mod members;
mod metrics;
mod orphans;
mod placed;
mod scheduler;
mod scope;
mod seal;
mod shared;
mod state;
mod swarm_mode;
mod versions;

use std::sync::{Arc, Weak};

use swarm_discovery::DiscoveryBackend;
use tokio_util::sync::CancellationToken;

pub use config::{Build, PoolConfig, RescheduleConfig};
pub use election::{Appointer, Called, Election, ElectionConfig, Epoch, Fence, Mandate, Role};
pub use forward::Forwarder;
pub use seal::{PoolKey, ShortKey};
pub use state::{KeySource, StoreConfig};

use backend::{Execs, Sessions};
use ledger::GuardSource;
use members::Members;
use shared::Shared;
use swarm_kv::StoreError;
use versions::Versions;

/// A running pool: implements every port of `swarm-backend`.
#[derive(Debug)]
pub struct Pool {
    /// For streams, which outlive the request that asked for them.
    own: Weak<Self>,
    shared: Arc<Shared>,
    members: Arc<Members>,
    discovery: Arc<dyn DiscoveryBackend>,
    execs: Execs,
    sessions: Sessions,
    versions: Versions,
}

impl Pool {
    /// Starts following `discovery` and returns at once; engines turn healthy as they answer.
    /// Everything started here ends when `stop` is cancelled.
    pub fn start(
        config: PoolConfig,
        discovery: Arc<dyn DiscoveryBackend>,
        store: StoreConfig,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let fence = config.election.fence().clone();
        let guard: GuardSource = Arc::new(move || {
            fence.guard().map_err(|refusal| StoreError::NotPrimary { reason: refusal.message })
        });
        let shared = Arc::new(Shared::new(config, store, &guard));
        let members = Arc::new(Members::new(Arc::clone(&shared)));
        tokio::spawn(Arc::clone(&members).follow(Arc::clone(&discovery), stop.clone()));
        let pool = Arc::new_cyclic(|own| Self {
            own: Weak::clone(own),
            shared,
            members,
            discovery: Arc::clone(&discovery),
            execs: Execs::default(),
            sessions: Sessions::default(),
            versions: Versions::default(),
        });
        tokio::spawn(versions::follow(Arc::downgrade(&pool), stop.clone()));
        tokio::spawn(keeper::run(Arc::downgrade(&pool), discovery, stop));
        pool
    }
}
