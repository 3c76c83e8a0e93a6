//! What clients ask of the swarm's objects (`/services /tasks /nodes /secrets /configs /swarm`, and
//! the swarm's part of `/networks`), in Docker's words and with its statuses.
//!
//! Any manager answers: reads come from its own copy of the store, brought up to date where there
//! is a quorum ([`Control::look`]); changes go through whoever leads ([`write`]). What follows of a
//! change (tasks, certificates) is the leader's loops' business.
//!
//! Reading order: [`write`], [`lookup`], [`filters`], [`answer`]; [`refuse`] (what there is not
//! yet), [`refs`], [`attach`], [`shown`]; [`events`]; then a file per kind of
//! object.
//!
//! Invariants: a secret's bytes and a registry's credentials are in no answer, error or log;
//! nothing is accepted that nobody carries out.

mod answer;
mod attach;
mod auth;
mod cluster;
mod data;
mod defaults;
mod events;
mod external;
mod filters;
mod known;
mod logs;
pub(crate) mod lookup;
mod names;
mod networks;
mod nodes;
pub(crate) mod rebalance;
mod refs;
mod refuse;
mod rotation;
pub(crate) mod service_list;
mod services;
mod shown;
mod spec;
mod tasks;
mod unlock;
mod write;

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use swarm_ca::tls::Live;
use swarm_docker::{ApiError, OUT_OF_SEQUENCE};
use swarm_kv::StoreError;
use swarm_model::{Id, Time};
use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

use crate::dispatcher::LogSource;
use crate::replica::{Replica, Tables};

pub use cluster::{Summary, check_settings};

/// How long a read waits for a quorum before it answers from what is here: longer than an election,
/// during which another manager may answer already what is not here yet.
const FRESH: Duration = Duration::from_secs(2);

/// A read that waited so long did so because this process stood still.
const STOOD_STILL: Duration = FRESH.saturating_add(Duration::from_secs(1));

/// Docker's words for a swarm that cannot be written to, for want of a leader.
pub const NO_LEADER: &str = "The swarm does not have a leader. It's possible that too few managers are \
    online. Make sure more than half of the managers are online.";

/// Answers clients on one manager.
pub struct Control {
    replica: Arc<Replica>,
    logs: Box<dyn LogSource>,
    events: events::Events,
    /// The election since which no quorum was found: reads do not look for one again until a leader
    /// is heard of.
    alone: Mutex<Option<u64>>,
    /// Who we are, towards external authorities.
    identity: OnceLock<Arc<Live>>,
    /// How often rebalances under way were told to stop.
    rebalances: watch::Sender<u64>,
    /// For what goes on beside an answer.
    this: Weak<Self>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What services are given can hold credentials.
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Control {
    /// Answers from this manager's objects; what tasks wrote comes from `logs`.
    pub fn new(replica: Arc<Replica>, logs: impl LogSource) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            replica,
            logs: Box::new(logs),
            events: events::Events::default(),
            alone: Mutex::default(),
            identity: OnceLock::new(),
            rebalances: watch::Sender::default(),
            this: Weak::clone(this),
        })
    }

    /// Whom to show external authorities that we are; without it none can be reached.
    pub fn identify(&self, live: Arc<Live>) {
        // Told once, by whoever made this.
        let _ = self.identity.set(live);
    }

    /// Reads: what was answered anywhere before is seen, where there is a quorum; where none is found,
    /// what this manager has.
    async fn look<T>(&self, look: impl FnOnce(&Tables) -> T) -> T {
        let (term, knows_leader) = {
            let leadership = self.replica.store().leadership();
            let now = leadership.borrow();
            (now.term, now.leader.is_some())
        };
        if knows_leader || *self.alone.lock() != Some(term) {
            let fresh = self.freshen().await;
            let is_fresh = matches!(fresh, Ok(Ok(())));
            *self.alone.lock() = (!is_fresh).then_some(term);
            if let Ok(Err(error)) = fresh {
                tracing::debug!(%error, "answering from this manager's own copy");
            } else if !is_fresh {
                tracing::debug!("no quorum in time: answering from this manager's own copy");
            }
        }
        self.replica.read(look)
    }
}

impl Control {
    /// Brings this copy up to date, in time. What a process that stood still (or its machine) has waited is no time in
    /// which it looked for a quorum: it looks once more.
    async fn freshen(&self) -> Result<Result<(), StoreError>, Elapsed> {
        let begun = Instant::now();
        let fresh = timeout(FRESH, self.replica.fresh()).await;
        if matches!(fresh, Ok(Ok(()))) || begun.elapsed() < STOOD_STILL {
            return fresh;
        }
        timeout(FRESH, self.replica.fresh()).await
    }
}

/// The time of a change: no earlier one was written by anybody.
pub(crate) fn now(tables: &Tables) -> Time {
    let clock = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
    Time(clock).max(tables.newest.plus(1))
}

/// A new object's id.
fn new_id() -> Id {
    Id::from_bits(rand::random())
}

/// A store's error, as a client reads it.
fn failed(error: StoreError) -> ApiError {
    match error {
        StoreError::Unreachable { .. }
        | StoreError::NotPrimary { .. }
        | StoreError::Fenced { .. }
        | StoreError::LeaseLost { .. } => ApiError::unavailable(format!("{NO_LEADER} ({error})")),
        // There is a leader, or was: what it says is all there is to say.
        StoreError::Unwritable { .. } | StoreError::Unknown { .. } => {
            ApiError::unavailable(error.to_string())
        }
        StoreError::TooLarge { .. } => ApiError::too_large(error.to_string()),
        StoreError::Conflict { .. } => out_of_sequence(),
        other => ApiError::system(other.to_string()),
    }
}

/// What Docker answers to a change of an older version (500); clients look for these words.
fn out_of_sequence() -> ApiError {
    ApiError::system(format!("rpc error: code = Unknown desc = {OUT_OF_SEQUENCE}"))
}

#[cfg(test)]
mod tests;
