//! The part of the create body that is the container's own: image, command, environment, labels.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use swarm_docker::container::LABEL_TASK_ID;
use swarm_model::Task;
use swarm_model::service::{GenericResource, Protocol};

use super::CLUSTER_LABEL;
use super::fields::{Fields, Refusal, put};
use super::names::TaskNames;

const HEALTHCHECK: [&str; 6] =
    ["Test", "Interval", "Timeout", "Retries", "StartPeriod", "StartInterval"];

pub(super) fn config(
    task: &Task,
    names: &TaskNames,
    cluster: &str,
    image: &str,
    fields: &mut Fields,
) -> Result<Map<String, Value>, Refusal> {
    let mut body = Map::new();
    put(&mut body, "Image", image);
    let labels = labels(task, cluster, fields.or_zero("Labels")?);
    put(&mut body, "Labels", Value::Object(labels));
    let command: Vec<String> = fields.or_zero("Command")?;
    let arguments: Vec<String> = fields.or_zero("Args")?;
    put(&mut body, "Entrypoint", command);
    put(&mut body, "Cmd", arguments);
    let hostname: String = fields.or_zero("Hostname")?;
    put(&mut body, "Hostname", names.fill("Hostname", &hostname)?);
    let mut env = names.env.clone();
    env.extend(resources(&task.generic_resources));
    put(&mut body, "Env", env);
    put(&mut body, "WorkingDir", fields.or_zero::<String>("Dir")?);
    put(&mut body, "User", fields.or_zero::<String>("User")?);
    put(&mut body, "Tty", fields.or_zero::<bool>("TTY")?);
    put(&mut body, "OpenStdin", fields.or_zero::<bool>("OpenStdin")?);
    put(&mut body, "StopSignal", fields.or_zero::<String>("StopSignal")?);
    if let Some(nanos) = fields.get::<u64>("StopGracePeriod")? {
        // For an engine that stops by itself; ours is told with each stop.
        body.insert("StopTimeout".to_owned(), nanos.div_ceil(1_000_000_000).into());
    }
    if let Some(check) = fields.same("Healthcheck", &HEALTHCHECK)? {
        put(&mut body, "Healthcheck", check);
    }
    let exposed: Map<String, Value> = task
        .host_ports
        .iter()
        .map(|port| (port_key(port.target_port, port.protocol), Value::Object(Map::new())))
        .collect();
    put(&mut body, "ExposedPorts", Value::Object(exposed));
    Ok(body)
}

/// `80/tcp`.
pub(super) fn port_key(port: u16, protocol: Protocol) -> String {
    let protocol = match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    };
    format!("{port}/{protocol}")
}

/// The spec's, the task's, and then those by which Docker's tools know a task.
fn labels(task: &Task, cluster: &str, own: BTreeMap<String, String>) -> Map<String, Value> {
    let mut labels: Map<String, Value> =
        own.into_iter().map(|(key, value)| (key, Value::from(value))).collect();
    for (key, value) in &task.labels {
        labels.insert(key.clone(), value.clone().into());
    }
    let system = [
        ("com.docker.swarm.node.id", task.node_id.to_string()),
        ("com.docker.swarm.service.id", task.service_id.to_string()),
        ("com.docker.swarm.service.name", task.service_annotations.name.clone()),
        ("com.docker.swarm.task", String::new()),
        (LABEL_TASK_ID, task.id.to_string()),
        ("com.docker.swarm.task.name", task.name()),
        (CLUSTER_LABEL, cluster.to_owned()),
    ];
    labels.extend(system.map(|(key, value)| (key.to_owned(), Value::from(value))));
    labels
}

/// `DOCKER_RESOURCE_GPU=gpu1,gpu2`.
fn resources(given: &[GenericResource]) -> Vec<String> {
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for resource in given {
        let (kind, value) = match resource {
            GenericResource::Named(named) => (&named.kind, named.value.clone()),
            GenericResource::Discrete(some) => (&some.kind, some.value.to_string()),
        };
        kinds.entry(kind.to_uppercase()).or_default().push(value);
    }
    let variable = |(kind, values): (String, Vec<String>)| {
        format!("DOCKER_RESOURCE_{kind}={}", values.join(","))
    };
    kinds.into_iter().map(variable).collect()
}
