//! How soon managers notice that their leader is gone (`Spec.Raft`: `ElectionTick`, `HeartbeatTick`). It is
//! fixed for as long as a store is open, so that a manager whose swarm says otherwise opens it again.
//!
//! Docker's defaults are 10 and 1, of a second each. Here the same numbers stand for what is ten times
//! as fast and more, and other ones for so many times that.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use swarm_model::cluster::RaftSettings;
use swarm_raft::{Member, Timing};
use tokio::time::Instant;

use crate::info::Warning;
use crate::manager::Manager;

/// A `HeartbeatTick`.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// An `ElectionTick`.
const ELECTION: Duration = Duration::from_millis(30);
/// An election is at least so many heartbeats: one that is late is no reason for it.
const BEATS: u32 = 3;
/// Between two managers that open their stores again: more than that takes on most machines, and where it
/// takes more, the next one waits.
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

/// `None` where the others have a quorum without this manager now, or never can have one: one of two, or one
/// alone. If not, the one before it is not back yet, or another is away: those that do not answer.
pub async fn held_by(manager: &Manager) -> Option<Vec<String>> {
    let members = manager.store().members().await;
    (!stands_without(manager.store().id(), &members)).then(|| silent(&members))
}

/// What a person is told while another pace waits for managers that do not answer.
pub fn waiting(silent: &[String]) -> Warning {
    let what = format!(
        "this manager keeps its old pace of elections (ElectionTick, HeartbeatTick), and takes the swarm's once \
         all managers answer; silent: {}",
        silent.join(", ")
    );
    let todo =
        "start those again, or take them out with docker node demote and docker node rm --force";
    Warning::new(what, todo)
}

fn silent(members: &[Member]) -> Vec<String> {
    let silent = members.iter().filter(|member| member.is_voter && !member.reachable);
    silent.map(|member| member.address.clone()).collect()
}

/// When that is asked again.
pub fn later() -> Instant {
    Instant::now() + GAP
}

fn stands_without(own: u64, members: &[Member]) -> bool {
    let voters = members.iter().filter(|member| member.is_voter);
    let others: Vec<&Member> = voters.filter(|member| member.id != own).collect();
    let reached = others.iter().filter(|member| member.reachable).count();
    reached > others.len().div_ceil(2) || reached == others.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_leaves_for_a_moment_only_where_the_others_stand() {
        let members = |reachable: &[bool]| -> Vec<Member> {
            let member = |(id, reachable): (u64, &bool)| Member {
                id,
                address: String::new(),
                is_leader: id == 1,
                is_voter: true,
                reachable: *reachable,
            };
            (1..).zip(reachable).map(member).collect()
        };
        let stands = |reachable: &[bool]| stands_without(1, &members(reachable));
        assert!(stands(&[true]) && stands(&[true, true]) && stands(&[true, true, true]));
        assert!(!stands(&[true, false]) && !stands(&[true, true, false]));
        // Three of five are a quorum.
        assert!(stands(&[true, true, true, true, false]));
        assert!(!stands(&[true, true, true, false, false]));
        assert!(stands(&[true, true, true, true]) && !stands(&[true, true, true, false]));
        let mut joining = members(&[true, true, true, false]);
        joining[3].is_voter = false;
        assert!(stands_without(1, &joining), "one that is joining does not count yet");
    }

    #[test]
    fn who_is_waited_for_is_named() {
        let member = |number: u64, is_voter: bool, reachable: bool| Member {
            id: number,
            address: format!("10.0.0.{number}:2377"),
            is_leader: number == 1,
            is_voter,
            reachable,
        };
        let members = [
            member(1, true, true),
            member(2, true, false),
            member(3, false, false),
            member(4, true, false),
        ];
        let words = waiting(&silent(&members)).words();
        assert!(words.contains("silent: 10.0.0.2:2377, 10.0.0.4:2377:"), "{words}");
        assert!(words.contains("ElectionTick") && words.contains("docker node demote"), "{words}");
    }

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
