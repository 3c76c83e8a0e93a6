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
mod filters;
mod logs;
mod lookup;
mod names;
mod networks;
mod nodes;
mod refs;
mod refuse;
mod rotation;
mod service_list;
mod services;
mod shown;
mod tasks;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use swarm_docker::ApiError;
use swarm_kv::StoreError;
use swarm_model::{Id, Time};

use crate::dispatcher::LogSource;
use crate::replica::{Replica, Tables};

pub use cluster::{Summary, check_settings};

/// How long a read waits for a quorum before it answers from what is here.
const FRESH: Duration = Duration::from_secs(2);

/// Docker's words for a swarm that cannot be written to.
const NO_LEADER: &str = "The swarm does not have a leader. It's possible that too few managers are \
    online. Make sure more than half of the managers are online.";

/// Answers clients on one manager.
pub struct Control {
    replica: Arc<Replica>,
    logs: Box<dyn LogSource>,
    events: events::Events,
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
        Arc::new(Self { replica, logs: Box::new(logs), events: events::Events::default() })
    }

    /// Reads: what was answered anywhere before is seen, where there is a quorum; where there is
    /// none, what this manager has.
    async fn look<T>(&self, look: impl FnOnce(&Tables) -> T) -> T {
        let knows_leader = self.replica.store().leadership().borrow().leader.is_some();
        if knows_leader {
            match tokio::time::timeout(FRESH, self.replica.fresh()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "answering from this manager's own copy"),
                Err(_) => {
                    tracing::debug!("no quorum in time: answering from this manager's own copy");
                }
            }
        }
        self.replica.read(look)
    }
}

/// The time of a change: no earlier one was written by anybody.
fn now(tables: &Tables) -> Time {
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
        StoreError::TooLarge { .. } => ApiError::too_large(error.to_string()),
        StoreError::Conflict { .. } => out_of_sequence(),
        other => ApiError::system(other.to_string()),
    }
}

/// What Docker answers to a change of an older version (500); clients look for these words.
fn out_of_sequence() -> ApiError {
    ApiError::system("rpc error: code = Unknown desc = update out of sequence")
}

#[cfg(test)]
mod tests;
