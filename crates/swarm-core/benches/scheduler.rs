//! How many tasks are placed per second on 10,000 nodes: `cargo bench -p swarm-core --bench scheduler`.
//!
//! Prints a table; it judges nothing, as a loaded machine would make a timed test lie. Services are
//! of several sizes, as a pass over the nodes is per service and not per task.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use swarm_core::scheduler::{Board, assign};
use swarm_model::service::TaskSpec;
use swarm_model::{Id, Node, Task, TaskState, Time};

const NODES: usize = 10_000;
const TASKS: usize = 100_000;

fn node(at: usize) -> Option<Arc<Node>> {
    let node = serde_json::from_value(json!({
        "ID": format!("node{at:021}"),
        "Spec": {"Labels": {"zone": format!("z{}", at % 5), "disk": if at.is_multiple_of(2) { "ssd" } else { "hdd" }}},
        "Description": {
            "Hostname": format!("node-{at}"), "Platform": {"Architecture": "x86_64", "OS": "linux"},
            "Resources": {"NanoCPUs": 64_000_000_000_i64, "MemoryBytes": 256_i64 << 30},
        },
        "Status": {"State": "ready", "Addr": "10.0.0.1"}
    }));
    node.ok().map(Arc::new)
}

fn main() {
    let plain = json!({});
    let rich = json!({
        "Resources": {"Reservations": {"NanoCPUs": 100_000_000, "MemoryBytes": 64 << 20}},
        "Placement": {"Constraints": ["node.labels.disk==ssd"],
                      "Platforms": [{"Architecture": "amd64", "OS": "linux"}],
                      "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}]}
    });
    println!(
        "{NODES} nodes, {TASKS} tasks\n{:>18}  {:<38}{:>14}",
        "tasks per service", "asked", "placed per s"
    );
    let nodes: Vec<_> = (0..NODES).filter_map(node).collect();
    for (words, template) in
        [("nothing", &plain), ("resources, constraint, platform, spread", &rich)]
    {
        for size in [10, 100, 10_000] {
            let mut tasks = Vec::with_capacity(TASKS);
            for service in 0..TASKS / size {
                let spec: Arc<TaskSpec> =
                    Arc::new(serde_json::from_value(template.clone()).unwrap_or_default());
                for slot in 0..size {
                    let mut task = Task {
                        id: Id::from(format!("{service}.{slot}").as_str()),
                        service_id: Id::from(format!("service{service}").as_str()),
                        spec: Arc::clone(&spec),
                        ..Task::default()
                    };
                    task.status.state = TaskState::Pending;
                    tasks.push(task);
                }
            }
            let all: Vec<&Task> = tasks.iter().collect();
            let mut board = Board::new(nodes.iter().cloned(), []);
            let start = Instant::now();
            let outcomes = assign(&mut board, &all, Time(1), &mut StdRng::seed_from_u64(1));
            let seconds = start.elapsed().as_secs_f64();
            let placed = black_box(outcomes).iter().filter(|(_, outcome)| outcome.is_ok()).count();
            #[allow(clippy::cast_precision_loss)] // Far below 2^52.
            let rate = placed as f64 / seconds;
            println!("{size:>18}  {words:<38}{rate:>14.0}");
        }
    }
}
