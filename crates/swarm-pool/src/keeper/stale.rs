//! Copies that were replaced while their engine was away: stopped, then removed or set aside.

use std::sync::Arc;

use http::{Method, StatusCode};
use swarm_backend::full;
use swarm_core::reschedule::{Step, transition};
use swarm_model::{EngineRef, StalePolicy};
use tracing::info;

use super::step::StepError;
use crate::Pool;
use crate::engine::{CHANGE_DEADLINE, Mark, post_json};

/// How long a stale copy may take to end by itself, in seconds: it must not run beside the one that
/// replaced it for longer.
const GRACE: u32 = 2;

impl Pool {
    pub(super) async fn remove_stale(
        self: &Arc<Self>,
        step: &Step,
        engine: &EngineRef,
        container: &str,
        name: &str,
        policy: StalePolicy,
    ) -> Result<(), StepError> {
        let at = self.engine_of(engine)?;
        self.shared.state.supersede(at.key(), container);
        self.shared.index.forget(at.key(), container);
        let stop = format!("/containers/{container}/stop?t={GRACE}");
        match self.ask(&at, Method::POST, &stop).await {
            // It went by itself, or somebody was faster.
            Err(error) if error.status() == StatusCode::NOT_FOUND => {
                at.wrote(Mark::Container(container.to_owned()));
                return Ok(());
            }
            stopped => stopped?,
        }
        match policy {
            StalePolicy::Remove => {
                // Its volumes may hold what somebody misses: they stay.
                let remove = format!("/containers/{container}?force=1&v=0");
                match self.ask(&at, Method::DELETE, &remove).await {
                    Err(error) if error.status() == StatusCode::NOT_FOUND => {}
                    removed => removed?,
                }
                info!(container = name, engine = %engine.name, reason = %step.reason,
                      "removed a stale copy");
                self.tell_stale(step, engine, container, "reschedule_stale_removed");
            }
            StalePolicy::Keep => {
                let path = format!("/containers/{container}/update");
                let never = full(r#"{"RestartPolicy":{"Name":"no"}}"#);
                let reply = at.send(post_json(path, None, never), Some(CHANGE_DEADLINE)).await?;
                crate::backend::document(reply).await?;
                let known = at.view();
                let known = known.containers.iter().find(|known| known.id() == container);
                let generation = known.map_or(1, |known| known.generation());
                let new = transition::aside(name, generation, container);
                let rename = format!("/containers/{container}/rename?name={new}");
                self.ask(&at, Method::POST, &rename).await?;
                info!(container = name, engine = %engine.name, new, reason = %step.reason,
                      "set a stale copy aside");
                self.tell_stale(step, engine, container, "reschedule_stale_kept");
                self.shared.state.forget_superseded(std::iter::once(container));
            }
        }
        at.wrote(Mark::Container(container.to_owned()));
        Ok(())
    }
}
