//! Keeps what is wanted: the loop of the primary that looks at intents and engines, has
//! `swarm-core` plan, and carries the steps out.
//!
//! Events only wake it; what is to be done comes from looking. `look` builds the planner's view,
//! `act` carries one step out, `remake` makes a container anew, `moves` moves what works
//! (drain, rebalance), `tell` says what happened.
//!
//! Invariants:
//! - only a manager whose fence allows it acts, and it looks at the fence before every step;
//! - one thing at a time is done about an intent ([`Attempts`]), by a client's request or a step;
//! - a step's announcement is in the store before an engine is asked for anything.

mod act;
mod attempts;
mod count;
mod data;
mod drain;
mod follow;
mod forget;
mod look;
mod moves;
mod rebalance;
mod remake;
mod stale;
mod step;
mod survey;
mod tell;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use swarm_backend::InSwarm;
use swarm_core::reschedule::{Held, Millis, Plan, plan};
use swarm_discovery::DiscoveryBackend;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Pool, Role};

pub(crate) use attempts::{Attempts, Turn};
pub(crate) use count::{Cause, Moves};
pub(crate) use drain::Drain;
pub(crate) use follow::follow_volumes_of;
pub(crate) use rebalance::Outcome;

use rebalance::{Arrivals, Work};

/// Between two looks though nothing happened: what no event told of is found after so long.
const PERIOD: Duration = Duration::from_secs(15);
/// The least time between two looks, so that a burst of events is one.
const BREATH: Duration = Duration::from_millis(100);
/// How many steps are carried out at once.
const AT_ONCE: usize = 16;
/// The pause after a failure to take over from the store.
const RETRY: Duration = Duration::from_secs(1);

/// The keeper's own memory.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// What is being done about which intent.
    pub attempts: Attempts,
    /// Since when each engine, by its id, has been silent for this manager.
    silent: Mutex<HashMap<String, Millis>>,
    /// Since when each intent's container has been seen ended although it is to run.
    ended: Mutex<HashMap<String, Millis>>,
    /// Engines, by their id, that left the pool on purpose with intents on them.
    departed: Mutex<HashSet<String>>,
    /// What waits, and why; from the last look.
    held: Mutex<Vec<Held>>,
    /// When this manager began to watch as primary.
    watching_since: Mutex<Millis>,
    turns: Arc<Semaphore>,
    /// How far each engine's draining is, by its id.
    drains: Mutex<HashMap<String, Drain>>,
    /// Moves for the sake of drains that are under way: the intent's id, and the engine's.
    drain_moves: Mutex<HashMap<String, String>>,
    drain_turns: Arc<Semaphore>,
    /// What was asked for and is to be begun.
    works: Mutex<VecDeque<Work>>,
    work_turn: Arc<Semaphore>,
    /// Stops the one that was begun last.
    work_halt: Mutex<CancellationToken>,
    arrivals: Mutex<Arrivals>,
    epoch: Instant,
}

impl Keeper {
    pub fn new() -> Self {
        Self {
            attempts: Attempts::default(),
            silent: Mutex::default(),
            ended: Mutex::default(),
            departed: Mutex::default(),
            held: Mutex::default(),
            watching_since: Mutex::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            drains: Mutex::default(),
            drain_moves: Mutex::default(),
            drain_turns: Arc::new(Semaphore::new(drain::AT_ONCE)),
            works: Mutex::default(),
            work_turn: Arc::new(Semaphore::new(1)),
            work_halt: Mutex::default(),
            arrivals: Mutex::default(),
            epoch: Instant::now(),
        }
    }

    /// Now, on a steady clock.
    pub fn now(&self) -> Millis {
        Millis(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// An engine's availability was changed: what was told of its draining is over.
    pub fn forget_drain(&self, engine: &str) {
        self.drains.lock().remove(engine);
    }

    /// Another manager leads, and does what is left.
    fn end(&self) {
        self.attempts.clear();
        self.works.lock().clear();
        self.drains.lock().clear();
        *self.arrivals.lock() = Arrivals::default();
    }

    /// An engine was taken out of the pool before this manager's eyes.
    pub fn depart(&self, engine: String) {
        self.departed.lock().insert(engine);
    }

    /// Whether an engine left the pool on purpose, and what was on it with it.
    pub fn has_departed(&self, engine: &str) -> bool {
        self.departed.lock().contains(engine)
    }

    /// What waits, and why.
    pub fn held(&self) -> Vec<Held> {
        self.held.lock().clone()
    }
}

/// Runs for the pool's life.
pub(crate) async fn run(
    pool: Weak<Pool>,
    discovery: Arc<dyn DiscoveryBackend>,
    stop: CancellationToken,
) {
    let Some(mut role) = pool.upgrade().map(|pool| pool.shared.config.election.role()) else {
        return;
    };
    loop {
        let leads = |role: &Role| matches!(role, Role::Primary { .. } | Role::Alone);
        let waited = tokio::select! {
            waited = role.wait_for(leads) => waited.map(|role| role.clone()),
            () = stop.cancelled() => return,
        };
        let (Ok(mine), Some(strong)) = (waited, pool.upgrade()) else { return };
        let reign = stop.child_token();
        let until_replaced = async {
            let _ = role.wait_for(|now| *now != mine).await;
        };
        let reigning = strong.reign(&discovery, &reign);
        tokio::select! {
            () = reigning => {}
            () = until_replaced => {}
            () = stop.cancelled() => {}
        }
        reign.cancel();
        strong.shared.state.unload();
        if strong.swarm().is_none() {
            strong.shared.scheduler.forget_availability();
        }
        strong.shared.keeping.end();
        drop(strong);
        if stop.is_cancelled() {
            return;
        }
    }
}

impl Pool {
    /// From taking over to the end, which is the caller's to bring about.
    async fn reign(
        self: &Arc<Self>,
        discovery: &Arc<dyn DiscoveryBackend>,
        stop: &CancellationToken,
    ) {
        while let Err(error) = self.shared.state.load().await {
            warn!(%error, "cannot take over what the pool's store keeps; trying again");
            tokio::time::sleep(RETRY.mul_f64(1.0 + rand::random::<f64>())).await;
        }
        // In a swarm its own word counts.
        let records = if self.swarm().is_none() { self.shared.state.engines.all() } else { vec![] };
        for record in records {
            self.shared.scheduler.set_availability(&record.engine.id, record.availability);
        }
        let keeping = &self.shared.keeping;
        *keeping.watching_since.lock() = keeping.now();
        keeping.silent.lock().clear();
        keeping.ended.lock().clear();
        info!(intents = self.shared.state.intents.len(), "keeping what the pool's containers are");
        // Everything is read once more, so that what is known is younger than what was taken over.
        for engine in self.members.reachable() {
            engine.wrote(crate::engine::Mark::Containers);
        }
        let mut statuses = self.shared.changes.subscribe();
        loop {
            let wake = self.look_and_act(discovery, stop).await;
            let until = Instant::now() + wake;
            tokio::time::sleep(BREATH).await;
            tokio::select! {
                () = self.shared.keeper.notified() => {}
                changed = statuses.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// One look; how long the next may wait.
    async fn look_and_act(
        self: &Arc<Self>,
        discovery: &Arc<dyn DiscoveryBackend>,
        stop: &CancellationToken,
    ) -> Duration {
        if self.shared.config.election.fence().mandate().is_err() {
            // It lapsed, and the election has not noticed yet.
            return BREATH;
        }
        self.follow_engines();
        self.follow_volumes();
        self.follow_containers();
        self.forget_removed();
        let Plan { steps, wake, held } = self.look(discovery, plan).await;
        self.say_what_waits(held);
        for step in steps {
            let Some(turn) = self.shared.keeping.attempts.begin(&step.intent) else { continue };
            let (pool, stop) = (Arc::clone(self), stop.clone());
            tokio::spawn(async move {
                let Ok(_place) = Arc::clone(&pool.shared.keeping.turns).acquire_owned().await
                else {
                    return;
                };
                tokio::select! {
                    () = pool.carry_out(step, turn) => {}
                    () = stop.cancelled() => {}
                }
                pool.shared.keeper.notify_one();
            });
        }
        self.drain_engines(stop);
        let next = self.follow_arrivals();
        self.work(stop);
        let wake = wake.into_iter().chain(next).min();
        let now = self.shared.keeping.now();
        wake.map_or(PERIOD, |at| (at - now).clamp(BREATH, PERIOD))
    }
}
