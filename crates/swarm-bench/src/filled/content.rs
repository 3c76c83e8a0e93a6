//! What the store is filled with, and how it changes. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use swarm_manager::{Batch, Tables};
use swarm_model::node::NodeState;
use swarm_model::service::{ContainerSpec, Replicated, ResourceRequirements, Resources, TaskSpec};
use swarm_model::task::{ServiceAnnotations, TaskStatus};
use swarm_model::{Id, Node, Service, Task, TaskState, Time};

use crate::cli::SwarmShape;

/// Objects that are written at once.
const AT_ONCE: usize = 1000;
/// When all of it was made, nanoseconds since 1970.
const MADE: Time = Time(1_700_000_000_000_000_000);
const IMAGES: [&str; 4] =
    ["nginx:1.25", "redis:7", "postgres:16", "registry.example.com/team/app:2.4.1"];

/// A task's id by its number.
fn task_id(number: usize) -> Id {
    format!("t{number:024}").as_str().into()
}

/// Everything, in the order in which it is written.
pub fn batches(shape: &SwarmShape) -> Result<Vec<Batch>> {
    ensure!(shape.size.nodes > 0 && shape.size.services > 0, "a swarm has nodes and services");
    let mut all = vec![Batch::default()];
    let room = |all: &mut Vec<Batch>| {
        if all.last().is_none_or(|batch| batch.len() >= AT_ONCE) {
            all.push(Batch::default());
        }
    };
    for number in 0..shape.size.nodes {
        room(&mut all);
        if let Some(batch) = all.last_mut() {
            batch.put(&node(number))?;
        }
    }
    let each = shape.tasks.div_ceil(shape.size.services);
    let services: Vec<Service> =
        (0..shape.size.services).map(|number| service(number, each)).collect();
    for service in &services {
        room(&mut all);
        if let Some(batch) = all.last_mut() {
            batch.put(service)?;
        }
    }
    for number in 0..shape.tasks {
        room(&mut all);
        if let Some(batch) = all.last_mut() {
            batch.put(&task(number, &services[number / each], number % shape.size.nodes, each))?;
        }
    }
    Ok(all)
}

fn node(number: usize) -> Node {
    let mut node = Node { id: format!("n{number:024}").as_str().into(), ..Node::default() };
    node.created_at = MADE;
    node.description.hostname = format!("node-{number:04}");
    "28.5.2".clone_into(&mut node.description.engine.engine_version);
    node.description.resources =
        Resources { nano_cpus: 16_000_000_000, memory_bytes: 64 << 30, ..Resources::default() };
    node.status.state = NodeState::Ready;
    node.status.addr = format!("10.0.{}.{}", number / 250, number % 250 + 1);
    let zone = ["eu-1", "eu-2", "us-1"][number % 3].to_owned();
    node.spec.labels = BTreeMap::from([("zone".to_owned(), zone)]);
    node
}

fn service(number: usize, replicas: usize) -> Service {
    let mut service =
        Service { id: format!("s{number:024}").as_str().into(), ..Service::default() };
    service.created_at = MADE;
    service.spec.name = format!("shop-{}_part-{}", number / 10, number % 10);
    service.spec.labels = BTreeMap::from([(
        "com.docker.stack.namespace".to_owned(),
        format!("shop-{}", number / 10),
    )]);
    let replicas = u64::try_from(replicas).ok();
    service.spec.mode.replicated = Some(Replicated { replicas });
    let image = IMAGES[number % IMAGES.len()].to_owned();
    let reservations =
        Resources { nano_cpus: 250_000_000, memory_bytes: 256 << 20, ..Resources::default() };
    service.spec.task_template = Arc::new(TaskSpec {
        container_spec: Some(ContainerSpec { image, ..ContainerSpec::default() }),
        resources: Some(ResourceRequirements {
            reservations: Some(reservations),
            ..ResourceRequirements::default()
        }),
        ..TaskSpec::default()
    });
    service
}

fn task(number: usize, service: &Service, node: usize, each: usize) -> Task {
    let annotations =
        ServiceAnnotations { name: service.spec.name.clone(), labels: service.spec.labels.clone() };
    Task {
        id: task_id(number),
        created_at: MADE,
        spec: Arc::clone(&service.spec.task_template),
        service_id: service.id.clone(),
        service_annotations: Arc::new(annotations),
        slot: u64::try_from(number % each + 1).unwrap_or(1),
        node_id: format!("n{node:024}").as_str().into(),
        desired_state: TaskState::Running,
        status: TaskStatus {
            state: TaskState::Running,
            timestamp: MADE,
            message: "started".to_owned(),
            ..TaskStatus::default()
        },
        placed_because: "of 1000 nodes it has the fewest tasks of this service".to_owned(),
        ..Task::default()
    }
}

/// The next task that changes, all over the swarm: what runs is being prepared anew, what is prepared runs.
pub fn changed(tables: &Tables, number: usize) -> Task {
    let all = tables.tasks.len().max(1);
    // A step that meets each of them once in a round.
    let id = task_id(number.wrapping_mul(7919) % all);
    let mut task = tables.tasks.get(&id).map(|task| Task::clone(task)).unwrap_or_default();
    task.status.state = match task.status.state {
        TaskState::Running => TaskState::Preparing,
        _ => TaskState::Running,
    };
    task
}
