//! Several managers of one pool: one of them is the primary, by a lock in the pool's store, and
//! alone makes changes.
//!
//! `lock` takes it, `campaign` keeps taking it (where another election decides, when it is called to:
//! `appointed`), `fence` says whether it may be relied on this
//! instant, `role` tells everybody. What a replica does with a request is `forward`'s.
//!
//! Also a manager without `--replication` takes the lock, where there is a store: so that of two
//! that were started on one prefix by mistake only one moves containers, and both say what is
//! wrong.

mod appointed;
mod boottime;
mod campaign;
mod fence;
mod lock;
mod pauses;
mod role;
mod sight;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use swarm_backend::ApiError;
use swarm_kv::{KeyValue, Layout};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use appointed::{Appointer, Called};
pub use fence::{Fence, Mandate};
pub use role::{Epoch, Role};

use appointed::Appointment;
use boottime::{BootTime, Clock};
use campaign::Campaign;
use lock::Lock;
use pauses::Jitter;
use role::{Standing, lock_value};

/// How long [`Election::resign`] waits at most.
const RESIGNING: Duration = Duration::from_secs(3);

/// How this manager takes part.
#[derive(Debug, Clone)]
pub struct ElectionConfig {
    /// `--replication`: requests that reach a replica are forwarded.
    pub replication: bool,
    /// `--advertise`, where others reach this manager; without `--replication` any name for
    /// messages.
    pub name: String,
    /// `--replication-ttl`: how long the lock outlives a killed primary.
    pub ttl: Duration,
}

/// This manager's part in the election. Cheap to clone; clones are one.
#[derive(Debug, Clone)]
pub struct Election {
    standing: Arc<Standing>,
    fence: Fence,
    resign: CancellationToken,
    ended: CancellationToken,
    appointment: Option<Appointment>,
}

impl Default for Election {
    fn default() -> Self {
        Self::alone()
    }
}

impl Election {
    /// No election: the pool's state is in this process alone.
    pub fn alone() -> Self {
        let standing = Arc::new(Standing::new("", false, Role::Alone));
        let ended = CancellationToken::new();
        ended.cancel();
        Self {
            fence: Fence::new(Arc::clone(&standing), Arc::new(BootTime)),
            standing,
            resign: CancellationToken::new(),
            ended,
            appointment: None,
        }
    }

    /// Campaigns in `store` until [`Election::resign`].
    pub fn start(store: Arc<dyn KeyValue>, layout: &Layout, config: &ElectionConfig) -> Self {
        let (election, campaign) =
            Self::prepare(store, layout, config, None, (Arc::new(BootTime), rand::random()));
        tokio::spawn(campaign);
        election
    }

    /// As [`Election::start`], and takes the lock only while this manager is called to: where managers
    /// are elected elsewhere, and the lock is there for the fence.
    pub fn appointed(
        store: Arc<dyn KeyValue>,
        layout: &Layout,
        config: &ElectionConfig,
    ) -> (Self, Appointer) {
        let (appointer, appointment) = appointed::pair();
        let by = (Arc::new(BootTime) as _, rand::random());
        let (election, campaign) = Self::prepare(store, layout, config, Some(appointment), by);
        tokio::spawn(campaign);
        (election, appointer)
    }

    fn prepare(
        store: Arc<dyn KeyValue>,
        layout: &Layout,
        config: &ElectionConfig,
        appointment: Option<Appointment>,
        (clock, seed): (Arc<dyn Clock>, u64),
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let role = Role::Replica { primary: None };
        let standing = Arc::new(Standing::new(&config.name, config.replication, role));
        let fence = Fence::new(Arc::clone(&standing), Arc::clone(&clock));
        let (resign, ended) = (CancellationToken::new(), CancellationToken::new());
        let lock = Lock {
            store,
            leader: layout.leader(),
            epoch: layout.epoch(),
            value: lock_value(&config.name, config.replication),
            ttl: config.ttl,
            clock,
        };
        let campaign = Campaign {
            lock,
            fence: fence.clone(),
            standing: Arc::clone(&standing),
            resign: resign.clone(),
            jitter: Jitter::new(seed),
            appointment: appointment.clone(),
        };
        let end = ended.clone().drop_guard();
        let campaign = async move {
            campaign.run().await;
            drop(end);
        };
        (Self { standing, fence, resign, ended, appointment }, campaign)
    }

    /// What this manager is, from now on.
    pub fn role(&self) -> watch::Receiver<Role> {
        self.standing.subscribe()
    }

    /// What every change is checked against.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Steps down and gives the lock back, so that the next primary is there at once; returns
    /// within three seconds. From its first moment on this manager changes nothing more.
    pub async fn resign(&self) {
        self.resign.cancel();
        self.fence.close();
        let _ = tokio::time::timeout(RESIGNING, self.ended.cancelled()).await;
    }

    /// Where another election says who is to be the primary.
    pub(crate) fn appointment(&self) -> Option<&Appointment> {
        self.appointment.as_ref()
    }

    /// How often this manager became the primary, and ceased to be it.
    pub(crate) fn turns(&self) -> (u64, u64) {
        self.standing.turns()
    }

    /// Requests that reach a replica are forwarded.
    pub(crate) fn replicates(&self) -> bool {
        self.standing.replication()
    }

    /// Where others reach this manager.
    pub(crate) fn name(&self) -> &str {
        self.standing.name()
    }

    /// Why a change cannot be made here now.
    pub(crate) fn refusal(&self) -> ApiError {
        self.standing.refusal()
    }

    /// The first rows of `docker info`.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        self.standing.rows()
    }

    /// A warning for `docker info` where two managers are in each other's way.
    pub(crate) fn warning(&self) -> Option<String> {
        self.standing.warning()
    }
}
