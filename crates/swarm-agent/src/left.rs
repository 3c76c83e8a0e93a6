//! A node that leaves its swarm without having an agent: a locked manager's, or one that cannot start. Its
//! tasks are stopped and removed as an agent does when its node leaves.
//!
//! Invariant: only containers that are labelled as this swarm's tasks, and named as them, are touched.

use futures_util::{StreamExt as _, stream};
use swarm_engine::EngineClient;
use tokio::time::timeout;

use crate::agent::{AgentError, LEAVE};
use crate::executor::engine::Engine;

/// So many at a time: an engine does not stop more of them any sooner.
const AT_ONCE: usize = 16;

/// Stops and removes the tasks of the swarm `cluster`, each with the time to end that it has; how many.
pub async fn remove_tasks(client: EngineClient, cluster: &str) -> Result<usize, AgentError> {
    let engine = Engine::new(client);
    let tasks = engine.list(cluster).await.map_err(|error| AgentError::new(&error))?;
    let tasks: Vec<_> = tasks.into_values().filter(|found| found.is_named).collect();
    let count = tasks.len();
    let removing = stream::iter(tasks)
        .map(|found| {
            let engine = engine.clone();
            async move {
                // Removing ends it in any case.
                let _ = engine.stop(&found.id, None).await;
                engine.remove(&found.id).await.err()
            }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |failed| failed)
        .collect::<Vec<_>>();
    let Ok(failed) = timeout(LEAVE, removing).await else {
        return Err(AgentError::new(&format!("tasks are left after {LEAVE:?}")));
    };
    match failed.first() {
        None => Ok(count),
        Some(first) => {
            let failed = failed.len();
            Err(AgentError::new(&format!("{failed} of {count} tasks are left: {first}")))
        }
    }
}
