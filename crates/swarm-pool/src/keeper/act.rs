//! Carries one step of a plan out: first the store's write that announces it, then the engine.

use std::sync::Arc;

use http::{Method, StatusCode};
use swarm_backend::ApiError;
use swarm_core::reschedule::transition;
use swarm_core::reschedule::{Action, Step};
use swarm_model::{EngineRef, Intent, Place};
use tracing::{info, warn};

use super::remake::Outcome;
use super::step::StepError;
use super::{Cause, Turn};
use crate::Pool;
use crate::backend::intents::removed;
use crate::clock;
use crate::engine::{Engine, Mark, READ_DEADLINE};

impl Pool {
    /// Carries `step` out; what goes wrong is told, and planned for again later.
    pub(super) async fn carry_out(self: &Arc<Self>, step: Step, turn: Turn) {
        match self.attempt(&step).await {
            Ok(()) => {
                turn.worked();
                if !matches!(step.action, Action::Place { .. } | Action::RemoveStale { .. }) {
                    info!(container = %step.name, action = step.action.word(),
                          reason = %step.reason, "kept");
                }
            }
            Err(StepError::Changed) => {}
            Err(error) => {
                let error = error.to_string();
                warn!(container = %step.name, action = step.action.word(), reason = %step.reason,
                      error, "not done; trying again");
                turn.failed(self.shared.keeping.now(), error);
            }
        }
    }

    async fn attempt(self: &Arc<Self>, step: &Step) -> Result<(), StepError> {
        self.shared.config.election.fence().mandate()?;
        let now = clock::now_millis() / 1_000;
        if let Action::RemoveStale { engine, container, name, policy, .. } = &step.action {
            return self.remove_stale(step, engine, container, name, *policy).await;
        }
        let intents = &self.shared.state.intents;
        let intent = intents
            .get(&step.intent)
            .filter(|intent| intent.generation == step.generation)
            .ok_or(StepError::Changed)?;
        match &step.action {
            Action::Lose { from } => {
                // Hidden first: should the store not answer, it is lost here all the same, and what
                // follows waits for the store.
                self.hide_old(&intent);
                self.write(&transition::lost(&intent, &step.reason, now)).await?;
                self.tell_lost(&intent, from, &step.reason);
                Ok(())
            }
            Action::Place { avoid } => {
                let made = self.remake(&intent, avoid, &step.reason).await;
                if !matches!(
                    made,
                    Ok(Outcome::Made | Outcome::Unsettled(_)) | Err(StepError::Changed)
                ) {
                    self.shared.moves.failed(Cause::Failure);
                }
                match made? {
                    Outcome::Made => Ok(()),
                    Outcome::Unsettled(error) | Outcome::Refused(error) => Err(error.into()),
                }
            }
            Action::Finish { engine, container } => {
                self.write(&transition::arrived(&intent, engine, container)).await?;
                if let Ok(engine) = self.engine_of(engine) {
                    self.show(&engine, container);
                }
                Ok(())
            }
            Action::Rename { engine, container, to } => {
                let engine = self.engine_of(engine)?;
                self.give_name(&engine, container, to).await.map_err(StepError::from)
            }
            Action::Start { engine, container } => {
                let engine = self.engine_of(engine)?;
                self.start_container(&engine, container).await.map_err(StepError::from)
            }
            Action::Abandon { .. } => match transition::abandoned(&intent, &step.reason) {
                Some(next) => self.write(&next).await,
                None => self.forget(&intent, true).await,
            },
            Action::Drop { engine, remember } => {
                if let Some(engine) = engine
                    && self.is_still_there(&intent, engine).await?
                {
                    return Err(StepError::Changed);
                }
                self.forget(&intent, *remember).await
            }
            Action::RemoveStale { .. } => Ok(()),
        }
    }

    /// Keeps a changed intent, and returns when the store has it.
    pub(super) async fn write(&self, next: &Intent) -> Result<(), StepError> {
        let intents = &self.shared.state.intents;
        let version = intents.set(&next.id, next.clone());
        Ok(intents.stored(&next.id, version).await?)
    }

    /// Deletes an intent; `remember` keeps that it was removed, for copies that may still appear.
    async fn forget(&self, intent: &Intent, remember: bool) -> Result<(), StepError> {
        let state = &self.shared.state;
        if let Some(engine) = intent.place.engine().filter(|_| remember) {
            let removed = removed(&intent.id, &intent.name, engine.clone());
            let version = state.removed.set(&intent.id, removed);
            state.removed.stored(&intent.id, version).await?;
        }
        let version = state.intents.delete(&intent.id);
        Ok(state.intents.stored(&intent.id, version).await?)
    }

    /// Nobody is shown the copy of a container whose engine lost it, and its name is free.
    pub(super) fn hide_old(&self, intent: &Intent) {
        let Place::At { engine, container } = &intent.place else { return };
        let engines = self.members.all();
        let held = engines.iter().find(|member| member.reference().as_ref() == Some(engine));
        if let Some(held) = held {
            self.shared.state.supersede(held.key(), container);
            self.shared.index.forget(held.key(), container);
        }
    }

    /// The engine of this id, which must answer.
    pub(super) fn engine_of(&self, wanted: &EngineRef) -> Result<Arc<Engine>, ApiError> {
        let engines = self.members.all();
        let found = engines
            .iter()
            .find(|engine| engine.reference().is_some_and(|known| known.id == wanted.id));
        match found {
            Some(engine) if engine.is_reachable() => Ok(Arc::clone(engine)),
            Some(engine) => Err(engine.unusable()),
            None => {
                Err(ApiError::unavailable(format!("engine {} is not in the pool", wanted.name)))
            }
        }
    }

    /// Starts a container; one that runs already is started.
    pub(super) async fn start_container(
        &self,
        engine: &Engine,
        container: &str,
    ) -> Result<(), ApiError> {
        self.ask(engine, Method::POST, &format!("/containers/{container}/start")).await?;
        engine.wrote(Mark::Container(container.to_owned()));
        Ok(())
    }

    /// Gives a container its name.
    pub(super) async fn give_name(
        &self,
        engine: &Engine,
        container: &str,
        name: &str,
    ) -> Result<(), ApiError> {
        let path = format!("/containers/{container}/rename?name={name}");
        self.ask(engine, Method::POST, &path).await?;
        self.show(engine, container);
        Ok(())
    }

    /// A copy that was kept from sight is the one that is wanted now.
    pub(super) fn show(&self, engine: &Engine, container: &str) {
        self.shared.state.forget_superseded(std::iter::once(container));
        let view = engine.view();
        if let Some(known) = view.containers.iter().find(|known| known.id() == container) {
            self.shared.index.apply(engine.key(), &[], std::slice::from_ref(known));
        }
        engine.wrote(Mark::Container(container.to_owned()));
    }

    /// Whether an engine has a container after all.
    async fn is_still_there(&self, intent: &Intent, engine: &EngineRef) -> Result<bool, StepError> {
        let Place::At { container, .. } = &intent.place else { return Ok(false) };
        let engine = self.engine_of(engine)?;
        let asked = self.ask(&engine, Method::GET, &format!("/containers/{container}/json")).await;
        match asked {
            Ok(()) => {
                engine.wrote(Mark::Container(container.clone()));
                Ok(true)
            }
            Err(error) if error.status() == StatusCode::NOT_FOUND => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// One request of the keeper's own, whose answer's words matter only when it fails.
    pub(super) async fn ask(
        &self,
        engine: &Engine,
        method: Method,
        path: &str,
    ) -> Result<(), ApiError> {
        let deadline =
            if method == Method::GET { READ_DEADLINE } else { crate::engine::CHANGE_DEADLINE };
        let outgoing = crate::engine::bare(method, path.to_owned());
        let reply = engine.send(outgoing, Some(deadline)).await?;
        crate::backend::document(reply).await.map(drop)
    }
}
