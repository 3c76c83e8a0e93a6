//! How soon managers notice that their leader is gone (`Spec.Raft`: `ElectionTick`, `HeartbeatTick`). It is
//! fixed for as long as a store is open, so that a manager whose swarm says otherwise opens it again.
//!
//! Docker's defaults are 10 and 1, of a second each. Here the same numbers stand for what is ten times
//! as fast and more, and other ones for so many times that.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use swarm_model::cluster::RaftSettings;
use swarm_raft::Timing;
use tokio::time::Instant;

use crate::manager::Manager;

/// A `HeartbeatTick`.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// An `ElectionTick`.
const ELECTION: Duration = Duration::from_millis(30);
/// An election is at least so many heartbeats: one that is late is no reason for it.
const BEATS: u32 = 3;
/// Between two managers that open their stores again: more than that takes, so that the others have a
/// quorum.
const GAP: Duration = Duration::from_secs(3);

/// The settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pace {
    election_tick: u32,
    heartbeat_tick: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self::of(&RaftSettings::default())
    }
}

impl Pace {
    /// As a swarm has them; they were checked when they were set.
    pub fn of(settings: &RaftSettings) -> Self {
        let ticks = |number: i64| u32::try_from(number).unwrap_or(1).max(1);
        Self {
            election_tick: ticks(settings.election_tick),
            heartbeat_tick: ticks(settings.heartbeat_tick),
        }
    }

    /// For the store.
    pub fn timing(self) -> Timing {
        let heartbeat = HEARTBEAT.saturating_mul(self.heartbeat_tick);
        let election = ELECTION.saturating_mul(self.election_tick);
        Timing { heartbeat, election: election.max(heartbeat.saturating_mul(BEATS)) }
    }
}

/// When a manager may open its store again: one after the other, and the leader last, whose words come
/// as often as the others expect until then.
pub async fn turn(manager: &Manager) -> Instant {
    let own = manager.store().id();
    let mut members = manager.store().members().await;
    members.sort_by_key(|member| (member.is_leader, member.id));
    let place = members.iter().position(|member| member.id == own).unwrap_or_default();
    Instant::now() + GAP * u32::try_from(place).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_defaults_are_the_store_s_own_and_others_so_many_times_that() {
        assert_eq!(Pace::default().timing(), Timing::default());
        let timing = |election_tick, heartbeat_tick| {
            let settings =
                RaftSettings { election_tick, heartbeat_tick, ..RaftSettings::default() };
            let timing = Pace::of(&settings).timing();
            (timing.election.as_millis(), timing.heartbeat.as_millis())
        };
        assert_eq!(timing(100, 5), (3_000, 500));
        // What Docker takes and elections do not stand.
        assert_eq!(timing(10, 9), (2_700, 900));
        assert_eq!(timing(2, 1), (300, 100));
    }
}
