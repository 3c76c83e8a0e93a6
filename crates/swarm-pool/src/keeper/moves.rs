//! Moves a container off an engine that works: a copy of it is made elsewhere under another name,
//! takes its place in the store, and gets its name when the old one is stopped and gone.
//!
//! Invariants:
//! - never do two copies of one name run: the new one runs, if at all, as `NAME-next` until the old
//!   one is removed;
//! - until the store has the new place the old copy is the one that is wanted: whoever leads after a
//!   crash removes the new one, and so does a move that fails; from then on the old copy is the one
//!   too many, and whoever leads removes it, names the new one and starts it (the planner's rules);
//! - what a client changes of the container meanwhile voids the move.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;
use swarm_backend::ApiError;
use swarm_core::placement::node::NodeId;
use swarm_core::reschedule::transition;
use swarm_model::{Desired, EngineRef, Intent, Place};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::step::StepError;
use super::{Cause, Turn};
use crate::Pool;
use crate::clock;
use crate::engine::{Engine, Mark};

/// How long a new copy may take until it runs, and is healthy where it has a health check.
const READY: Duration = Duration::from_mins(1);
/// How long one without a health check must have run to count as running.
const STEADY: Duration = Duration::from_millis(500);
/// Between two looks at a new copy.
const LOOK: Duration = Duration::from_millis(200);
/// Largest answer of an inspect.
const LARGEST: usize = 4 << 20;

/// A move that is to be made.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The intent's id.
    pub intent: String,
    /// The container's name, for people.
    pub name: String,
    /// Where to; any engine but its own when open.
    pub to: Option<NodeId>,
    /// For the sake of what.
    pub cause: Cause,
    /// Why.
    pub reason: String,
    /// The new copy runs before the old one is stopped.
    pub start_first: bool,
}

impl Pool {
    /// Carries a move out; the name of the engine that has it now, or why it did not move.
    pub(super) async fn move_container(&self, order: &Order, turn: Turn) -> Result<String, String> {
        match self.relocate(order).await {
            Ok(to) => {
                turn.worked();
                Ok(to.name)
            }
            Err(error) => {
                let words = error.to_string();
                warn!(container = %order.name, reason = %order.reason, error = words, "not moved");
                if !matches!(error, StepError::Changed) {
                    self.shared.moves.failed(order.cause);
                    if let Some(intent) = self.shared.state.intents.get(&order.intent) {
                        self.tell_failed(&intent, &words);
                    }
                    turn.failed(self.shared.keeping.now(), words.clone());
                }
                Err(words)
            }
        }
    }

    async fn relocate(&self, order: &Order) -> Result<EngineRef, StepError> {
        let fence = self.shared.config.election.fence();
        fence.mandate()?;
        let before = self.shared.state.intents.get(&order.intent).ok_or(StepError::Changed)?;
        let Place::At { engine: from, container: old } = &before.place else {
            return Err(StepError::Changed);
        };
        let mut making = self.find_place(&before, &self.others(from, order.to.as_ref())).await?;
        making.wish.name = transition::next_name(&before.name);
        let engine = Arc::clone(&making.engine);
        let made = self.create_anew(&engine, &making.wish, &making.request).await;
        let new = made.inspect_err(|_| {
            engine.wrote(Mark::Containers);
        })?;
        making.placed.hold.until_read(engine.wrote(Mark::Container(new.clone())));

        let ready = self.get_ready(&engine, &before, &new, order.start_first).await;
        let lead = ready.map_err(StepError::from).and_then(|()| Ok(fence.mandate().map(drop)?));
        let taken = match lead {
            Ok(()) => self.take_place(&before, &making.at, &new, &order.reason),
            Err(error) => Err(error),
        };
        let (version, moved) = match taken {
            Ok(taken) => taken,
            Err(error) => {
                self.discard(&engine, &new).await;
                return Err(error);
            }
        };
        // Should the store not answer, the ledger goes on asking, and the planner does the rest.
        self.shared.state.intents.stored(&order.intent, version).await?;
        self.hide_old(&before);
        self.show(&engine, &new);
        self.remove_old(from, old).await?;
        let name = self.shared.state.intents.get(&order.intent).map(|now| now.name.clone());
        self.give_name(&engine, &new, name.as_deref().unwrap_or(&before.name)).await?;
        if !order.start_first && before.desired == Desired::Running {
            self.start_container(&engine, &new).await?;
        }
        self.tell_moved(&moved, &new, order.cause, &order.reason);
        Ok(making.at)
    }

    /// The engines that a move may not go to.
    fn others(&self, from: &EngineRef, to: Option<&NodeId>) -> Vec<EngineRef> {
        let Some(to) = to else { return vec![from.clone()] };
        let members = self.members.all();
        let others = members.iter().filter_map(|engine| engine.reference());
        others.filter(|engine| engine.id != to.as_str()).collect()
    }

    /// Everything about the new copy that may fail is done before the old one is touched.
    async fn get_ready(
        &self,
        engine: &Arc<Engine>,
        intent: &Intent,
        new: &str,
        start_first: bool,
    ) -> Result<(), ApiError> {
        self.join_networks(engine, intent, new).await;
        if start_first && intent.desired == Desired::Running {
            self.start_container(engine, new).await?;
            self.until_up(engine, new).await?;
        }
        Ok(())
    }

    /// Waits until a started container runs and is as healthy as it can tell.
    async fn until_up(&self, engine: &Engine, container: &str) -> Result<(), ApiError> {
        let began = Instant::now();
        loop {
            let path = format!("/containers/{container}/json");
            let answer = engine.read(&path, LARGEST).await?;
            let found: Value = serde_json::from_slice(&answer).unwrap_or_default();
            match readiness(&found["State"], began.elapsed()) {
                Readiness::Up => return Ok(()),
                Readiness::Failed(why) => {
                    return Err(ApiError::conflict(format!("its new copy {why}")));
                }
                Readiness::Starting if began.elapsed() > READY => {
                    return Err(ApiError::conflict(format!(
                        "its new copy was not ready within {} s",
                        READY.as_secs()
                    )));
                }
                Readiness::Starting => sleep(LOOK.mul_f64(1.0 + rand::random::<f64>())).await,
            }
        }
    }

    /// The new copy becomes the one that is wanted, unless somebody changed what is.
    fn take_place(
        &self,
        before: &Intent,
        to: &EngineRef,
        new: &str,
        reason: &str,
    ) -> Result<(u64, Intent), StepError> {
        let now = clock::now_millis() / 1_000;
        let mut moved = None;
        let version = self.shared.state.intents.change(&before.id, |intent| {
            let same = intent.place == before.place
                && intent.generation == before.generation
                && intent.desired == before.desired
                && intent.config == before.config
                && intent.networks == before.networks;
            if same {
                *intent = transition::moved(intent, to, new, reason, now);
                moved = Some(intent.clone());
            }
        });
        version.zip(moved).ok_or(StepError::Changed)
    }

    /// A new copy that is not wanted after all. Its volumes are as new as it is.
    async fn discard(&self, engine: &Engine, new: &str) {
        let path = format!("/containers/{new}?force=1&v=1");
        if let Err(error) = self.ask(engine, Method::DELETE, &path).await {
            // The planner finds it: it is one too many.
            warn!(engine = %engine.label(), id = new, %error, "cannot remove a copy that failed");
        }
        engine.wrote(Mark::Container(new.to_owned()));
    }

    /// Stops the old copy, in the time that it was given for that, and removes it; volumes stay.
    async fn remove_old(&self, from: &EngineRef, old: &str) -> Result<(), ApiError> {
        let engine = self.engine_of(from)?;
        for (method, path) in [
            (Method::POST, format!("/containers/{old}/stop")),
            (Method::DELETE, format!("/containers/{old}?v=0")),
        ] {
            match self.ask(&engine, method, &path).await {
                Err(error) if error.status() == StatusCode::NOT_FOUND => {}
                asked => asked?,
            }
        }
        info!(engine = %from.name, id = old, "removed the old copy");
        // Its reservation is free when this has been read back.
        engine.wrote(Mark::Container(old.to_owned()));
        Ok(())
    }
}

/// How far a started container is.
#[derive(Debug, PartialEq, Eq)]
enum Readiness {
    Up,
    Starting,
    Failed(String),
}

/// Reads `State` of an inspect.
fn readiness(state: &Value, since: Duration) -> Readiness {
    let running = state["Running"] == true && state["Restarting"] != true;
    if !running {
        if state["Restarting"] == true || state["Status"] == "created" {
            return Readiness::Starting;
        }
        let code = state["ExitCode"].as_i64().unwrap_or_default();
        return Readiness::Failed(format!("ended with code {code}"));
    }
    match state["Health"]["Status"].as_str() {
        Some("healthy") => Readiness::Up,
        Some("unhealthy") => Readiness::Failed("is unhealthy".to_owned()),
        Some("starting") => Readiness::Starting,
        _ if since >= STEADY => Readiness::Up,
        _ => Readiness::Starting,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_copy_is_up_when_it_runs_and_is_healthy() {
        let (soon, later) = (Duration::ZERO, STEADY);
        let failed = |why: &str| Readiness::Failed(why.to_owned());
        let table = [
            (json!({"Running": true}), soon, Readiness::Starting),
            (json!({"Running": true}), later, Readiness::Up),
            (json!({"Running": true, "Restarting": true}), later, Readiness::Starting),
            (
                json!({"Running": true, "Health": {"Status": "starting"}}),
                later,
                Readiness::Starting,
            ),
            (json!({"Running": true, "Health": {"Status": "healthy"}}), soon, Readiness::Up),
            (json!({"Running": true, "Health": {"Status": "none"}}), later, Readiness::Up),
            (
                json!({"Running": true, "Health": {"Status": "unhealthy"}}),
                later,
                failed("is unhealthy"),
            ),
            (json!({"Running": false, "ExitCode": 3}), soon, failed("ended with code 3")),
        ];
        for (state, since, expected) in table {
            assert_eq!(readiness(&state, since), expected, "{state}");
        }
    }
}
