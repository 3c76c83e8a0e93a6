//! A task's spec as the body of `POST /containers/create` (API v1.41 and up), as Docker's own executor
//! makes it. Pure: the node's facts are an argument.
//!
//! Reading order: [`fields`], [`names`] (what templates may say), `config` and `host` (the body's two
//! halves), `mounts`, `privileges`, `beyond` (what Docker's services cannot ask for), [`files`] (secrets and configs). Every field of a spec is either
//! converted or refused by its name; nothing is ignored.

mod beyond;
mod config;
pub mod fields;
pub mod files;
mod host;
mod mounts;
pub mod names;
mod privileges;
mod since;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};
use swarm_docker::Reference;
use swarm_model::{Secret, Task};

use fields::Fields;
pub use fields::Refusal;
pub use files::{FileKind, FileRef};
pub use names::{NodeFacts, TaskNames};

/// The label that says of which swarm a task's container is. Docker has none: its engines are in one
/// swarm at most, and a stock engine knows nothing of ours.
pub const CLUSTER_LABEL: &str = "com.docker.swarm.cluster.id";

/// What the node has to do for a task.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The container's name.
    pub name: String,
    /// The image, in the form in which engines list it.
    pub image: String,
    /// The `X-Registry-Auth` header for its registry.
    pub registry_auth: Option<Secret>,
    /// The create body, without the files.
    pub body: Map<String, Value>,
    /// Secrets and configs to be mounted.
    pub files: Vec<FileRef>,
    /// What templates of files may say.
    pub names: TaskNames,
    /// How long the container has to stop; the engine's default (10 s) when `None`.
    pub grace: Option<Duration>,
}

impl Converted {
    /// The create body, with each file (in the order of `files`) mounted from where it lies.
    pub fn body_with(&self, sources: &[PathBuf]) -> Value {
        let mut body = self.body.clone();
        let mounts: Vec<Value> = self
            .files
            .iter()
            .zip(sources)
            .map(|(file, source)| {
                json!({"Type": "bind", "Source": source, "Target": file.target, "ReadOnly": true})
            })
            .collect();
        if let Some(Value::Object(host)) = body.get_mut("HostConfig")
            && !mounts.is_empty()
            && let Value::Array(all) =
                host.entry("Mounts").or_insert_with(|| Value::Array(Vec::new()))
        {
            all.extend(mounts);
        }
        Value::Object(body)
    }
}

/// Whether the task has a terminal: its logs are not framed then.
pub fn has_terminal(task: &Task) -> bool {
    let container = task.spec.container_spec.as_ref();
    container.and_then(|container| container.rest.get("TTY")?.as_bool()).unwrap_or(false)
}

/// How long the task's container has to stop.
pub fn grace(task: &Task) -> Option<Duration> {
    let container = task.spec.container_spec.as_ref()?;
    let nanos = container.rest.get("StopGracePeriod")?.as_u64()?;
    Some(Duration::from_nanos(nanos))
}

/// Converts a task of the swarm `cluster`.
pub fn convert(task: &Task, node: &NodeFacts, cluster: &str) -> Result<Converted, Refusal> {
    let spec = &*task.spec;
    let Some(container) = &spec.container_spec else {
        return Err(Refusal::new("ContainerSpec: missing in service spec"));
    };
    if !matches!(spec.runtime.as_str(), "" | "container") {
        return Err(Refusal(format!("runtime {} is not supported", spec.runtime)));
    }
    if container.image.is_empty() {
        return Err(Refusal::new("ContainerSpec: image reference must be provided"));
    }
    let mut fields = Fields::new("ContainerSpec", container.rest.clone());
    let mut template = Fields::new("TaskTemplate", spec.rest.clone());
    let env: Vec<String> = fields.or_zero("Env")?;
    let names = TaskNames::new(task, node, env)?;
    let files = files::read(&mut fields)?;
    let registry_auth = match fields.object("PullOptions")? {
        Some(mut pull) => {
            let auth: Option<String> = pull.get("RegistryAuth")?;
            pull.finish()?;
            auth.filter(|auth| !auth.is_empty()).map(Secret::new)
        }
        None => None,
    };
    let image = Reference::parse(&container.image)
        .map_or_else(|_| container.image.clone(), |image| image.or_latest().familiar());
    let mut host = host::host_config(task, container, &names, &mut fields, &mut template)?;
    beyond::add(spec.host.as_ref(), &node.allows, &mut host)?;
    let mut body = config::config(task, &names, cluster, &image, &mut fields)?;
    fields.finish()?;
    template.finish()?;
    body.insert("HostConfig".to_owned(), Value::Object(host));
    if let Some(engine) = node.api {
        since::check(&body, engine)?;
    }
    Ok(Converted {
        name: task.name(),
        image,
        registry_auth,
        body,
        files,
        names,
        grace: grace(task),
    })
}
