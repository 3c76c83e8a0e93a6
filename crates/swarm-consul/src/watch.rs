//! Watching a directory by blocking queries: Consul answers when it has changed, and this tells
//! what has.
//!
//! A blocking query's answer holds the whole directory, also when its wait is over and nothing has
//! changed. Waits are therefore as long as Consul allows, and a pulse of a few bytes finds out in
//! between whether the agent still lives and follows the same leader. Several changes in quick
//! succession are read at once.
//!
//! Invariants: a failure is told once, another kind of failure again; after one, and after every
//! lost connection, the next thing told is the whole directory.

use std::collections::{BTreeMap, VecDeque};
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use rand::Rng as _;
use swarm_backoff::Backoff;
use swarm_kv::{Change, Item, Result, Revision, StoreError, Watch};
use tokio::time::sleep;

use crate::agents::{Agents, Request};
use crate::pair::{self, Listing};

/// How long a query waits for a change: Consul allows ten minutes, and adds up to a sixteenth.
const WAIT: Duration = Duration::from_mins(9);
/// Between two looks whether the agent lives.
const PULSE: Duration = Duration::from_secs(10);
/// Between two queries: what changes meanwhile is read at once.
const PACE: Duration = Duration::from_millis(100);
/// Before the first new attempt after a failure; doubled with each.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// The longest wait between two attempts.
const LAST_RETRY: Duration = Duration::from_secs(15);

/// The changes of a directory, for ever.
pub(crate) fn watch(agents: Arc<Agents>, directory: &str) -> Watch {
    let watcher = Watcher {
        agents,
        directory: directory.to_owned(),
        known: Known::default(),
        index: None,
        changes: VecDeque::new(),
        backoff: Backoff::new(FIRST_RETRY, LAST_RETRY),
        pause: None,
        told: None,
    };
    Box::pin(stream::unfold(watcher, |mut watcher| async move {
        let change = watcher.next().await;
        Some((change, watcher))
    }))
}

struct Watcher {
    agents: Arc<Agents>,
    directory: String,
    known: Known,
    /// Where the next query goes on from; `None` reads at once.
    index: Option<u64>,
    /// Read and not told yet; at most what one answer holds.
    changes: VecDeque<Change>,
    backoff: Backoff,
    /// Before the next query.
    pause: Option<Duration>,
    /// The kind of the last failure that was told, while it lasts.
    told: Option<Discriminant<StoreError>>,
}

impl Watcher {
    async fn next(&mut self) -> Result<Change> {
        loop {
            if let Some(change) = self.changes.pop_front() {
                return Ok(change);
            }
            if let Some(pause) = self.pause {
                sleep(pause).await;
            }
            match self.read().await {
                Ok(listing) => {
                    (self.pause, self.told) = (Some(about(PACE)), None);
                    self.backoff.reset();
                    // An index that went back is another history: it is begun anew.
                    let went_back = self.index.is_some_and(|index| listing.index < index);
                    self.index = (!went_back).then_some(listing.index);
                    if went_back {
                        self.known = Known::default();
                    } else {
                        self.changes = self.known.take(listing.items);
                    }
                }
                Err(error) => {
                    self.index = None;
                    self.known = Known::default();
                    self.pause = Some(self.backoff.step());
                    let kind = discriminant(&error);
                    if self.told.replace(kind) != Some(kind) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Reads the directory: at once, or when it has changed.
    async fn read(&mut self) -> Result<Listing> {
        if let Some(index) = self.index {
            match self.blocking(index).await {
                // One agent's failure is none while there is another, or while it answers again.
                Err(error) if error.is_passing() => {
                    self.index = None;
                    self.known = Known::default();
                }
                done => return done,
            }
        }
        pair::list(&self.agents, &self.directory).await
    }

    async fn blocking(&self, index: u64) -> Result<Listing> {
        let agents = &*self.agents;
        let number = agents.current();
        let wait = about(WAIT).min(WAIT + PULSE);
        let path = pair::list_path(&self.directory)?;
        let path = format!("{path}&index={index}&wait={}ms", wait.as_millis());
        let request = Request::list(path);
        let limit = wait + wait / 16 + agents.deadline;
        let answer = tokio::select! {
            answer = agents.ask_one(number, &request, limit) => {
                answer.map_err(|failure| failure.error)
            }
            error = pulse(agents, number) => Err(error),
        };
        match answer {
            Ok(answer) => pair::listing(agents, &self.directory, &answer).await,
            Err(error) => {
                if error.is_passing() {
                    agents.has_failed(number);
                }
                Err(error)
            }
        }
    }
}

/// Ends when the agent does not answer, or when its servers have another leader: the query may be
/// waiting at the old one, which may never answer.
async fn pulse(agents: &Agents, number: usize) -> StoreError {
    let mut known = None;
    loop {
        sleep(about(PULSE)).await;
        match agents.leader(number, agents.deadline).await {
            Ok(leader) => {
                if *known.get_or_insert_with(|| leader.clone()) != leader {
                    return agents.words.unreachable("its servers have another leader");
                }
            }
            Err(error) => return error,
        }
    }
}

/// What has been told; nothing before the whole directory was.
#[derive(Debug, Default)]
struct Known(Option<BTreeMap<String, Revision>>);

impl Known {
    /// Takes the directory as it is now, and says what is to be told of it.
    fn take(&mut self, items: Vec<Item>) -> VecDeque<Change> {
        let now = items.iter().map(|item| (item.key.clone(), item.revision)).collect();
        let Some(before) = self.0.replace(now) else {
            return VecDeque::from([Change::Whole(items)]);
        };
        let now =
            self.0.iter().flatten().map(|(key, _)| key).collect::<std::collections::BTreeSet<_>>();
        let gone = before.keys().filter(|key| !now.contains(key));
        let gone: Vec<_> = gone.map(|key| Change::Deleted(key.clone())).collect();
        let new = items.into_iter().filter(|item| before.get(&item.key) != Some(&item.revision));
        gone.into_iter().chain(new.map(Change::Put)).collect()
    }
}

/// Up to a quarter more or less, so that many clients do not act in step.
fn about(duration: Duration) -> Duration {
    duration.mul_f64(rand::rng().random_range(0.75..1.25))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(state: &BTreeMap<u8, u64>) -> Vec<Item> {
        let item = |(key, revision): (&u8, &u64)| Item {
            key: format!("d/{key}"),
            value: revision.to_string().into(),
            revision: Revision(*revision),
        };
        state.iter().map(item).collect()
    }

    #[test]
    fn a_query_ends_before_consul_s_own_limit() {
        assert!(WAIT.mul_f64(1.25).min(WAIT + PULSE) < Duration::from_mins(10));
    }

    proptest! {
        /// Whatever the states, who follows the changes knows the last, and equal states are silent.
        #[test]
        fn changes_lead_from_each_state_to_the_next(
            states in proptest::collection::vec(
                proptest::collection::btree_map(0..6_u8, 0..3_u64, 0..6), 1..8)
        ) {
            let mut known = Known::default();
            let mut seen = BTreeMap::new();
            let mut last = None;
            for state in &states {
                let changes = known.take(items(state));
                prop_assert_eq!(changes.is_empty(), last == Some(state));
                for change in changes {
                    match change {
                        Change::Whole(items) => {
                            prop_assert!(last.is_none());
                            seen = items.into_iter().map(|item| (item.key.clone(), item)).collect();
                        }
                        Change::Put(item) => drop(seen.insert(item.key.clone(), item)),
                        Change::Deleted(key) => prop_assert!(seen.remove(&key).is_some()),
                    }
                }
                let expected = items(state);
                prop_assert_eq!(seen.values().cloned().collect::<Vec<_>>(), expected);
                last = Some(state);
            }
        }
    }
}
