//! One event stream for all tasks of the node. Events only say whose container is to be looked at, and
//! what makes a look needless; a stream that begins anew has missed some, so then all are looked at.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::json;
use swarm_docker::container::LABEL_TASK_ID;
use swarm_engine::EngineError;
use tokio::sync::watch;

use super::Shared;
use super::directory::Happened;
use super::engine::encoded;
use crate::convert::CLUSTER_LABEL;
use swarm_backoff::Backoff;

/// An engine that works all the while, and events that were lost without a word: all is looked at
/// again after so long.
const AGAIN: Duration = Duration::from_mins(5);

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Action")]
    action: String,
    #[serde(rename = "Actor")]
    actor: Actor,
}

impl Event {
    fn happened(&self) -> Happened {
        match self.action.as_str() {
            "start" => Happened::Start,
            "die" => Happened::Die,
            _ => Happened::Other,
        }
    }
}

#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "Attributes")]
    attributes: std::collections::HashMap<String, String>,
}

/// Follows the engine's events for as long as it is polled; `up` says whether the engine answers.
pub(crate) async fn follow(shared: Arc<Shared>, up: watch::Sender<bool>) {
    let filters = json!({
        "type": ["container"],
        "event": ["start", "die", "destroy", "health_status"],
        "label": [format!("{CLUSTER_LABEL}={}", shared.cluster)],
    });
    let filters = encoded(&filters.to_string());
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        let ended = stream(&shared, &filters, &up, &mut backoff).await;
        up.send_replace(false);
        if let Err(error) = ended {
            tracing::warn!(%error, "the engine's events cannot be followed; trying again");
        }
        backoff.wait().await;
    }
}

async fn stream(
    shared: &Shared,
    filters: &str,
    up: &watch::Sender<bool>,
    backoff: &mut Backoff,
) -> Result<(), EngineError> {
    let mut lines = shared.engine.client.events_where(filters).await?;
    backoff.reset();
    up.send_replace(true);
    shared.directory.wake_all();
    loop {
        match tokio::time::timeout(AGAIN, lines.next()).await {
            // Nothing for long, or one line too long, whose it was is not known.
            Err(_) | Ok(Some(Err(EngineError::TooLarge { .. }))) => shared.directory.wake_all(),
            Ok(None) => return Ok(()),
            Ok(Some(Ok(line))) => {
                if let Ok(event) = serde_json::from_slice::<Event>(&line)
                    && let Some(task) = event.actor.attributes.get(LABEL_TASK_ID)
                {
                    shared.directory.wake(task, event.happened());
                }
            }
            Ok(Some(Err(error))) => return Err(error),
        }
    }
}
