//! Drains engines: what can move off them does, a few at a time, for as long as a person wants them
//! drained; what cannot is told once, and again to whoever asks.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use swarm_core::placement::node::NodeId;
use swarm_core::rebalance::{Cause, Plan, Stay};
use swarm_core::reschedule::Attempt;
use swarm_model::{Availability, EngineRef};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::moves::Order;
use crate::Pool;

/// How many containers are moved at once for the sake of drains.
pub(super) const AT_ONCE: usize = 4;

/// How far the draining of one engine is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Drain {
    /// How many containers have been moved.
    pub moved: usize,
    /// How many are on their way, or have yet to go.
    pub to_move: usize,
    /// Moves that failed last time, to be tried again.
    pub failed: Vec<Stays>,
    /// What cannot move, and why.
    pub stays: Vec<Stays>,
}

/// A container that did not move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Stays {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl Drain {
    /// In words, for a node's message.
    pub fn words(&self) -> String {
        let mut words = match (self.to_move, self.moved) {
            (0, moved) => format!("drained: {moved} moved"),
            (left, moved) => format!("draining: {moved} moved, {left} to move"),
        };
        for (list, what) in [(&self.failed, "failed"), (&self.stays, "cannot move")] {
            if !list.is_empty() {
                let each = list.iter().map(|one| format!("{}: {}", one.name, one.reason));
                let each = each.collect::<Vec<_>>().join("; ");
                words = format!("{words}, {} {what}: {each}", list.len());
            }
        }
        words
    }
}

impl Pool {
    /// How far the draining of an engine is; `None` before it was looked at.
    pub(crate) fn drain_of(&self, engine: &str) -> Option<Drain> {
        self.shared.keeping.drains.lock().get(engine).cloned()
    }

    /// Begins the moves that drains ask for and that there is room for.
    pub(super) fn drain_engines(self: &Arc<Self>, stop: &CancellationToken) {
        let draining = |id: &str| {
            let record = self.shared.state.engines.get(id);
            record.is_some_and(|record| record.availability == Availability::Drain)
        };
        let drains = &self.shared.keeping.drains;
        drains.lock().retain(|id, _| draining(id));
        let engines: Vec<_> = self.members.reachable();
        let engines = engines.iter().filter_map(|engine| engine.reference());
        let engines: Vec<_> = engines.filter(|engine| draining(&engine.id)).collect();
        if engines.is_empty() {
            return;
        }
        let survey = self.survey(Cause::Drain);
        for engine in engines {
            let plan = self.plan_drain(&survey, &NodeId::new(engine.id.as_str()));
            tell_stays(&engine.name, drains.lock().get(&engine.id), &plan.stays);
            let seen = self.drain_step(&engine, plan, stop);
            let mut drains = drains.lock();
            let drain = drains.entry(engine.id).or_default();
            *drain = Drain { moved: drain.moved, ..seen };
        }
    }

    fn drain_step(
        self: &Arc<Self>,
        drained: &EngineRef,
        plan: Plan,
        stop: &CancellationToken,
    ) -> Drain {
        let engine = drained.id.as_str();
        let keeping = &self.shared.keeping;
        let attempts = keeping.attempts.snapshot();
        let under_way = keeping.drain_moves.lock().clone();
        let mine = under_way.values().filter(|from| *from == engine).count();
        let yet = plan.moves.iter().filter(|wanted| !under_way.contains_key(&wanted.intent));
        let stays = plan.stays.into_iter().map(|stay| Stays::new(stay.name, stay.reason));
        let mut drain =
            Drain { to_move: mine + yet.count(), stays: stays.collect(), ..Drain::default() };
        for wanted in plan.moves {
            match attempts.of(&wanted.intent) {
                Attempt::Busy => continue,
                Attempt::Failed { at, error } => {
                    drain.failed.push(Stays::new(wanted.name.clone(), error.to_owned()));
                    if at > keeping.now() {
                        continue;
                    }
                }
                Attempt::None => {}
            }
            let Ok(place) = Arc::clone(&keeping.drain_turns).try_acquire_owned() else { break };
            let Some(turn) = keeping.attempts.begin(&wanted.intent) else { continue };
            let order = Order {
                intent: wanted.intent,
                name: wanted.name,
                // Others move at the same time: where there is room is asked again.
                to: None,
                cause: super::Cause::Drain,
                // So the plan's reason, which names an engine, need not be what becomes of it.
                reason: format!("{} is being drained", drained.name),
                start_first: wanted.start_first,
            };
            let (pool, stop, engine) = (Arc::clone(self), stop.clone(), engine.to_owned());
            keeping.drain_moves.lock().insert(order.intent.clone(), engine.clone());
            tokio::spawn(async move {
                let moved = tokio::select! {
                    moved = pool.move_container(&order, turn) => moved.is_ok(),
                    () = stop.cancelled() => false,
                };
                // Counted before it stops being under way: a drain without moves left has all of them.
                // It may be over before the look that began it has said anything of the drain.
                let mut drains = pool.shared.keeping.drains.lock();
                drains.entry(engine).or_default().moved += usize::from(moved);
                drop(drains);
                pool.shared.keeping.drain_moves.lock().remove(&order.intent);
                drop(place);
                pool.shared.keeper.notify_one();
            });
        }
        drain
    }
}

/// Says once of each container why it stays.
fn tell_stays(engine: &str, before: Option<&Drain>, stays: &[Stay]) {
    if before.is_none() {
        info!(engine, "draining");
    }
    let known: HashMap<&str, &str> = before
        .iter()
        .flat_map(|before| &before.stays)
        .map(|stay| (stay.name.as_str(), stay.reason.as_str()))
        .collect();
    for stay in stays {
        if known.get(stay.name.as_str()) != Some(&stay.reason.as_str()) {
            warn!(engine, container = %stay.name, reason = %stay.reason, "cannot be moved");
        }
    }
}

impl Stays {
    fn new(name: String, reason: String) -> Self {
        Self { name, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_in_words() {
        let mut drain = Drain { moved: 3, to_move: 2, ..Drain::default() };
        assert_eq!(drain.words(), "draining: 3 moved, 2 to move");
        drain.failed = vec![Stays::new("web".into(), "its new copy is unhealthy".into())];
        assert_eq!(
            drain.words(),
            "draining: 3 moved, 2 to move, 1 failed: web: its new copy is unhealthy"
        );
        drain.failed.clear();
        drain.to_move = 0;
        drain.stays = vec![Stays::new("db".into(), "it has data there: volume data".into())];
        assert_eq!(
            drain.words(),
            "drained: 3 moved, 1 cannot move: db: it has data there: volume data"
        );
    }
}
