//! Evens the pool out: when a person asks for it, and, where that is switched on, some time after an
//! engine joined or came back.
//!
//! One such work at a time, begun by the keeper: it ends with this manager's leading.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use swarm_core::rebalance::{Move, Plan};
use swarm_core::reschedule::Millis;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::moves::Order;
use crate::Pool;

/// How long an engine that joined or came back must have been well before it is given containers.
const WELL: Duration = Duration::from_secs(30);
/// How many moves one engine's coming brings at most.
const LIMIT: usize = 10;

/// How one move of a work ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What was to be moved.
    pub order: Order,
    /// The name of the engine it is on now, or why it did not move.
    pub ended: Result<String, String>,
}

/// Moves to be made, so many at a time.
#[derive(Debug)]
pub(crate) struct Work {
    orders: Vec<Order>,
    at_once: usize,
    /// Who wants to know; when he is gone, no further move is begun.
    told: Option<mpsc::Sender<Outcome>>,
    /// When somebody says so, no further move is begun.
    halt: CancellationToken,
    /// Only one work at a time.
    _turn: OwnedSemaphorePermit,
}

/// Engines that came, and since when they have been well.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    known: HashSet<String>,
    fresh: HashMap<String, Millis>,
}

impl Arrivals {
    /// Takes in who is well now; those that have been so for long enough since they came.
    fn see(&mut self, well: HashSet<String>, now: Millis, watching_since: Millis) -> Vec<String> {
        // Who is there when this manager begins has not come.
        let beginning = now - watching_since < WELL;
        for id in &well {
            if !self.known.contains(id) && !beginning {
                self.fresh.insert(id.clone(), now);
            }
        }
        self.fresh.retain(|id, _| well.contains(id));
        self.known = well;
        let due = self.fresh.iter().filter(|(_, since)| now - **since >= WELL);
        let due: Vec<String> = due.map(|(id, _)| id.clone()).collect();
        self.fresh.retain(|id, _| !due.contains(id));
        due
    }

    /// When the next one has been well for long enough.
    fn next(&self) -> Option<Millis> {
        self.fresh.values().min().map(|since| *since + WELL)
    }
}

impl Pool {
    /// Has a plan carried out; by what it can be stopped, nothing while another one is.
    pub(crate) fn begin_work(
        &self,
        plan: Plan,
        at_once: usize,
        told: Option<mpsc::Sender<Outcome>>,
    ) -> Option<CancellationToken> {
        let keeping = &self.shared.keeping;
        let turn = Arc::clone(&keeping.work_turn).try_acquire_owned().ok()?;
        let orders = plan.moves.into_iter().map(order).collect();
        let halt = CancellationToken::new();
        *keeping.work_halt.lock() = halt.clone();
        let asked = halt.clone();
        keeping.works.lock().push_back(Work { orders, at_once, told, halt, _turn: turn });
        self.shared.keeper.notify_one();
        Some(asked)
    }

    /// No further move of the work under way is begun; whether there is one.
    pub(crate) fn halt_work(&self) -> bool {
        let keeping = &self.shared.keeping;
        keeping.work_halt.lock().cancel();
        keeping.work_turn.available_permits() == 0
    }

    /// Begins what was asked for since the last look.
    pub(super) fn work(self: &Arc<Self>, stop: &CancellationToken) {
        let works: VecDeque<Work> = std::mem::take(&mut *self.shared.keeping.works.lock());
        for work in works {
            let (pool, stop) = (Arc::clone(self), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = pool.carry_all(work) => {}
                    () = stop.cancelled() => {}
                }
                pool.shared.keeper.notify_one();
            });
        }
    }

    async fn carry_all(&self, work: Work) {
        let Work { orders, at_once, told, halt, _turn } = work;
        let told = told.as_ref();
        futures_util::stream::iter(orders)
            .for_each_concurrent(at_once, async |order| {
                if halt.is_cancelled() || told.is_some_and(mpsc::Sender::is_closed) {
                    return;
                }
                let ended = match self.shared.keeping.attempts.begin(&order.intent) {
                    Some(turn) => self.move_container(&order, turn).await,
                    None => Err("something else is being done about it".to_owned()),
                };
                if let Some(told) = told {
                    // Who does not listen any more is not told.
                    let _ = told.send(Outcome { order, ended }).await;
                }
            })
            .await;
    }

    /// Evens out by itself after engines came, where that is switched on; when to look again.
    pub(super) fn follow_arrivals(&self) -> Option<Millis> {
        if !self.shared.config.reschedule.rebalance {
            return None;
        }
        let keeping = &self.shared.keeping;
        let engines = self.members.reachable();
        let well = engines.iter().filter_map(|engine| Some(engine.reference()?.id)).collect();
        let mut arrivals = keeping.arrivals.lock();
        let came = arrivals.see(well, keeping.now(), *keeping.watching_since.lock());
        let next = arrivals.next();
        drop(arrivals);
        if !came.is_empty() {
            let plan = self.plan_rebalance(LIMIT);
            info!(engines = came.len(), plan = plan.note, "engines came: evening the pool out");
            if !plan.moves.is_empty() {
                let _ = self.begin_work(plan, 1, None);
            }
        }
        next
    }
}

fn order(wanted: Move) -> Order {
    Order {
        intent: wanted.intent,
        name: wanted.name,
        to: Some(wanted.to),
        cause: super::Cause::Rebalance,
        reason: format!("rebalanced: {}", wanted.reason),
        start_first: wanted.start_first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_has_come_when_it_has_been_well_for_a_while() {
        let mut arrivals = Arrivals::default();
        let at = |seconds: u64| Millis(seconds * 1_000);
        let mut see = |well: &[&str], seconds| {
            let well = well.iter().map(ToString::to_string).collect();
            arrivals.see(well, at(seconds), at(100))
        };
        assert!(see(&["a"], 101).is_empty(), "who is there already has not come");
        assert!(see(&["a", "b"], 200).is_empty());
        assert!(see(&["a"], 210).is_empty(), "it went again");
        assert!(see(&["a", "b"], 220).is_empty());
        assert!(see(&["a", "b"], 249).is_empty());
        assert_eq!(see(&["a", "b"], 250), ["b"]);
        assert!(see(&["a", "b"], 400).is_empty(), "once");
    }
}
