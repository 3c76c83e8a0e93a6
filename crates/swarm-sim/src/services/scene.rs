//! The services of a round, and what people do to them.

use rand::Rng;
use serde_json::{Value, json};
use swarm_model::engine::Availability;
use swarm_model::service::update::DRAIN;
use swarm_model::{Id, Node, Service, ServiceSpec, Task, Version};

use super::cluster::Cluster;

/// What a node has.
const CPU: i64 = 6_000_000_000;

/// The image that all services have in the end.
const LAST: &str = "last";

/// A task's image.
pub fn image(task: &Task) -> &str {
    task.spec.container_spec.as_ref().map_or("", |container| &container.image)
}

/// Makes nodes and services.
pub fn set(cluster: &mut Cluster) {
    for at in 0..4 + cluster.below(3) {
        let node: Node = parse(json!({
            "ID": format!("n{at}"),
            "Spec": {"Labels": {}, "Availability": "active"},
            "Description": {"Hostname": format!("n{at}"), "Resources": {"NanoCPUs": CPU}},
            "Status": {"State": "unknown"},
        }));
        cluster.agents.push(super::agent::Agent::new(node.id.clone()));
        cluster.store.write_node(node);
    }
    for name in ["web", "port", "each", "job", "wide"] {
        create(cluster, name);
    }
}

fn parse<T: serde::de::DeserializeOwned + Default>(value: Value) -> T {
    // The model's own constants: a test reads them all.
    serde_json::from_value(value).unwrap_or_default()
}

/// Makes a service anew under a new id.
pub fn create(cluster: &mut Cluster, name: &str) {
    let mode = match name {
        "each" => json!({"Global": {}}),
        "job" => {
            json!({"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 1 + cluster.below(6)}})
        }
        "port" => json!({"Replicated": {"Replicas": 2}}),
        // Enough of it that nodes that come back leave it uneven.
        "wide" => json!({"Replicated": {"Replicas": 6 + cluster.below(7)}}),
        _ => json!({"Replicated": {"Replicas": 1 + cluster.below(6)}}),
    };
    let mut spec = json!({
        "Name": name, "Mode": mode,
        "TaskTemplate": {
            "ContainerSpec": {"Image": if name == "job" { "job" } else { "first" }},
            "Resources": {"Reservations": {"NanoCPUs": if name == "wide" { CPU / 30 } else { CPU / 6 }}},
            "RestartPolicy": {"Condition": if name == "job" { "on-failure" } else { "any" },
                              "Delay": 1_000_000_000_i64 * i64::from(cluster.rng.random_range(0..4))},
        },
    });
    if name == "port" {
        spec["EndpointSpec"] = json!({"Ports":
            [{"TargetPort": 80, "PublishedPort": 80, "PublishMode": "host"}]});
    }
    if name == "web" {
        spec["TaskTemplate"]["Placement"] = json!({"Constraints": ["node.labels.x!=1"],
            "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}]});
    }
    if name == "web" && cluster.rng.random() {
        spec["Labels"] = json!({ DRAIN: "start-first" });
    }
    let service = Service {
        id: Id::from_bits(cluster.rng.random()),
        spec: parse(spec),
        ..Service::default()
    };
    cluster.note(|| format!("{name} is {}", service.id));
    cluster.store.write_service(service);
}

/// What `POST /services/{id}/update` does.
fn update(cluster: &mut Cluster, id: &Id, change: impl FnOnce(&mut Value)) {
    let Some(mut service) = cluster.store.services.get(id).cloned() else { return };
    let mut spec = serde_json::to_value(&service.spec).unwrap_or_default();
    change(&mut spec);
    let new: ServiceSpec = parse(spec);
    if new.mode.decided().is_job() {
        let status = service.job_status.get_or_insert_default();
        status.job_iteration = Version { index: status.job_iteration.index + 1 };
    }
    service.previous_spec = Some(Box::new(std::mem::replace(&mut service.spec, new)));
    service.update_status = None;
    cluster.note(|| format!("{} ({id}) is updated: {}", service.spec.name, words(&service.spec)));
    cluster.store.write_service(service);
}

fn words(spec: &ServiceSpec) -> String {
    serde_json::to_string(spec).unwrap_or_default()
}

/// Somebody does something to a service.
pub fn meddle(cluster: &mut Cluster) {
    let ids: Vec<Id> = cluster.store.services.keys().cloned().collect();
    let id = ids[cluster.below(ids.len())].clone();
    let name = cluster.store.services[&id].spec.name.clone();
    let rng = &mut cluster.rng;
    let image = ["first", "second", "third", "bad"][rng.random_range(0..4)];
    let action = ["pause", "continue", "rollback"][rng.random_range(0..3)];
    let config = json!({
        "Parallelism": rng.random_range(0..4), "Delay": rng.random_range(0..3) * 1_000_000_000_i64,
        "Order": if name != "port" && rng.random() { "start-first" } else { "stop-first" },
        "FailureAction": action,
        "Monitor": rng.random_range(0..4) * 1_000_000_000_i64,
        "MaxFailureRatio": f64::from(rng.random_range(0..3)) / 4.0,
    });
    let (replicas, kind) = (rng.random_range(0..7), rng.random_range(0..8));
    match (kind, name.as_str()) {
        (0, _) => {
            cluster.store.services.remove(&id);
            cluster.store.dirty.insert(id.clone());
            cluster.note(|| format!("{name} ({id}) is removed"));
            create(cluster, &name);
        }
        (1..4, "web") => update(cluster, &id, |spec| {
            spec["Mode"]["Replicated"]["Replicas"] = json!(replicas);
        }),
        (_, "job") => update(cluster, &id, |_| {}),
        _ => update(cluster, &id, |spec| {
            spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!(image);
            spec["UpdateConfig"] = config;
        }),
    }
}

/// Somebody changes a node.
pub fn meddle_with_node(cluster: &mut Cluster) {
    let at = cluster.below(cluster.agents.len());
    let Some(node) = cluster.store.nodes.get(&cluster.agents[at].id) else { return };
    let mut node = Node::clone(node);
    match cluster.below(5) {
        0 => node.spec.availability = Availability::Drain,
        1 => node.spec.availability = Availability::Pause,
        2 => {
            node.spec.labels.insert("x".to_owned(), "1".to_owned());
        }
        3 => {
            let zone = cluster.below(3).to_string();
            node.spec.labels.insert("zone".to_owned(), zone);
        }
        _ => {
            node.spec.availability = Availability::Active;
            node.spec.labels.remove("x");
        }
    }
    cluster.note(|| format!("{} is to be {:?}", node.id, node.spec));
    cluster.store.write_node(node);
}

/// In the end all nodes take tasks, and all services get an image that works.
pub fn settle(cluster: &mut Cluster) {
    let nodes: Vec<Node> = cluster.store.nodes.values().map(|node| Node::clone(node)).collect();
    for mut node in nodes {
        node.spec.availability = Availability::Active;
        node.spec.labels.remove("x");
        cluster.store.write_node(node);
    }
    for id in cluster.store.services.keys().cloned().collect::<Vec<_>>() {
        let is_job = cluster.store.services[&id].spec.name == "job";
        update(cluster, &id, |spec| {
            if !is_job {
                spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!(LAST);
                spec["UpdateConfig"] = json!({"Parallelism": 2, "FailureAction": "continue"});
            }
        });
    }
}
