//! Nodes and tasks for the scheduler's tests.

use std::sync::Arc;

use serde_json::{Value, json};
use swarm_model::{Id, Node, Task, TaskState};

/// A ready node with 4 processors and 8 GiB; `change` is merged over it.
pub fn node(name: &str, change: &Value) -> Arc<Node> {
    let mut body = json!({
        "ID": name,
        "Spec": {"Labels": {}, "Role": "worker", "Availability": "active"},
        "Description": {
            "Hostname": name, "Platform": {"Architecture": "x86_64", "OS": "linux"},
            "Resources": {"NanoCPUs": 4_000_000_000_i64, "MemoryBytes": 8_i64 << 30},
            "Engine": {"EngineVersion": "28.5.2"}
        },
        "Status": {"State": "ready", "Addr": "10.0.0.1"}
    });
    merge(&mut body, change);
    Arc::new(serde_json::from_value(body).unwrap())
}

/// A pending task of `service` with this template.
pub fn task(service: &str, id: &str, template: &Value) -> Task {
    Task {
        id: Id::from(id),
        service_id: Id::from(service),
        spec: Arc::new(serde_json::from_value(template.clone()).unwrap()),
        desired_state: TaskState::Running,
        status: swarm_model::task::TaskStatus { state: TaskState::Pending, ..Default::default() },
        ..Task::default()
    }
}

fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change.clone(),
    }
}
