//! Actions carried out: each is what the docker command would send.
//!
//! Invariant: a spec is changed from what it is now, and a change that somebody else made meanwhile is
//! looked at again, not written over.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;
use swarm_backend::{ApiError, Reply, Result};
use swarm_docker::OUT_OF_SEQUENCE;

use super::{Action, Verb};
use crate::Backend;
use crate::ask::{self, Kind, accepted, document, send};

/// How long an action may take: a container has its own time to stop.
const DEADLINE: Duration = Duration::from_mins(2);
/// How often a change is tried that another one came before.
const TRIES: usize = 5;

/// Does it; what became of it, in words.
pub async fn out(backend: &Backend, action: &Action) -> Result<String> {
    match action {
        Action::Container { verb, name, force } => container(backend, *verb, name, *force).await,
        Action::Node { name, availability } => {
            let change = |spec: &mut Value| {
                spec["Availability"] = (*availability).into();
                Ok(())
            };
            update(backend, Kind::Node, name, change).await?;
            Ok(match *availability {
                "active" => "it is given tasks and containers again".to_owned(),
                "pause" => "it keeps what it has, and is given nothing new".to_owned(),
                _ => "it is being drained; what can move moves".to_owned(),
            })
        }
        Action::Scale { name, replicas } => {
            let change = |spec: &mut Value| {
                let mode = spec["Mode"].as_object_mut().ok_or_else(unscalable)?;
                if mode.contains_key("Global") || mode.contains_key("GlobalJob") {
                    return Err(unscalable());
                }
                if let Some(job) = mode.get_mut("ReplicatedJob") {
                    // As docker service scale has it.
                    job["TotalCompletions"] = (*replicas).into();
                } else {
                    mode.insert("Replicated".to_owned(), serde_json::json!({"Replicas": replicas}));
                }
                Ok(())
            };
            update(backend, Kind::Service, name, change).await?;
            Ok(format!("it is to have {replicas} now"))
        }
        Action::Restart { name } => {
            update(backend, Kind::Service, name, again).await?;
            Ok("its tasks are replaced, as its update configuration says".to_owned())
        }
        Action::Rebalance { .. } => Err(ApiError::system("a rebalance tells of each move itself")),
    }
}

/// The plan, and a line for each move as it ends.
pub async fn rebalance(backend: &Backend, limit: u32, at_once: u32) -> Result<Reply> {
    let target = format!("/pool/rebalance?apply=1&limit={limit}&at_once={at_once}");
    accepted(send(backend, Method::POST, target, None, DEADLINE).await?).await
}

async fn container(backend: &Backend, verb: Verb, name: &str, force: bool) -> Result<String> {
    let (method, target) = match verb {
        Verb::Remove => {
            let path = Kind::Container.path(name, "");
            (Method::DELETE, format!("{path}?force={}", u8::from(force)))
        }
        verb => (Method::POST, Kind::Container.path(name, &format!("/{}", verb.word()))),
    };
    let reply = accepted(send(backend, method, target, None, DEADLINE).await?).await?;
    if reply.status == StatusCode::NOT_MODIFIED {
        return Ok(format!("it was {} already", verb.done()));
    }
    Ok(format!("it was {}", verb.done()))
}

fn unscalable() -> ApiError {
    ApiError::invalid("it has one task on each node: it cannot be scaled")
}

/// The same spec, with every task to be replaced.
fn again(spec: &mut Value) -> Result<()> {
    let is_job = spec["Mode"].get("ReplicatedJob").or_else(|| spec["Mode"].get("GlobalJob"));
    if is_job.is_some() {
        return Err(ApiError::invalid("it is a job, which ends by itself"));
    }
    let template = spec["TaskTemplate"].as_object_mut();
    let template = template.ok_or_else(|| ApiError::system("the service has no task template"))?;
    let count = template.get("ForceUpdate").and_then(Value::as_u64).unwrap_or(0);
    template.insert("ForceUpdate".to_owned(), count.wrapping_add(1).into());
    Ok(())
}

/// Changes the spec of a node or a service.
async fn update(
    backend: &Backend,
    kind: Kind,
    name: &str,
    change: impl Fn(&mut Value) -> Result<()> + Send + Sync,
) -> Result<()> {
    let mut tried = 1;
    loop {
        let mut known = document(backend, kind.document(name)).await?;
        let id = known["ID"].as_str().unwrap_or(name).to_owned();
        let version = known["Version"]["Index"].as_u64().unwrap_or_default();
        change(&mut known["Spec"])?;
        let auth = if kind == Kind::Service { "&registryAuthFrom=spec" } else { "" };
        let target = kind.path(&id, "/update") + &format!("?version={version}{auth}");
        let sent = send(backend, Method::POST, target, Some(&known["Spec"]), ask::DEADLINE).await?;
        match accepted(sent).await {
            Err(error) if tried < TRIES && error.message.contains(OUT_OF_SEQUENCE) => tried += 1,
            outcome => return outcome.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_restart_replaces_tasks_and_leaves_jobs_alone() {
        let mut spec = json!({"Mode": {"Replicated": {}}, "TaskTemplate": {"ForceUpdate": 2}});
        again(&mut spec).unwrap();
        assert_eq!(spec["TaskTemplate"]["ForceUpdate"], 3);
        let mut job = json!({"Mode": {"GlobalJob": {}}, "TaskTemplate": {}});
        assert!(again(&mut job).unwrap_err().message.contains("a job"));
    }
}
