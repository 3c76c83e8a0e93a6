//! What one placement decision costs, by pool size: `cargo bench -p swarm-core`.
//!
//! Prints a table of medians and 99th percentiles; it judges nothing, as a loaded machine would make
//! a timed test lie. Each pool is freshly made, so that nodes are spread over memory as in a manager.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use swarm_core::placement::containers::{ContainerList, ListedContainer};
use swarm_core::placement::filter::FilterSet;
use swarm_core::placement::images::ImageIndex;
use swarm_core::placement::node::{NodeSummary, Resources};
use swarm_core::placement::ports::PortUse;
use swarm_core::placement::request::Request;
use swarm_core::placement::reservation::Board;
use swarm_core::placement::strategy::Strategy;

const ROUNDS: usize = 500;

fn board(count: usize) -> Board {
    let mut board = Board::default();
    for i in 0..count {
        let mut node =
            NodeSummary::new(&format!("{i:04X}:{}", "ABCD:".repeat(11)), &format!("node-{i}"));
        node.total = Resources::new(16, 64 << 30);
        node.reserved = Resources::new((i % 8).try_into().unwrap_or(0), 1 << 30);
        node.containers = (i % 40).try_into().unwrap_or(0);
        let labels = [
            ("storage", if i % 2 == 0 { "ssd" } else { "disk" }),
            ("region", "eu"),
            ("storagedriver", "overlay2"),
            ("executiondriver", ""),
            ("kernelversion", "6.1.0"),
            ("operatingsystem", "Debian GNU/Linux 12"),
            ("ostype", "linux"),
            ("architecture", "x86_64"),
        ];
        let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned()));
        node.labels = Arc::new(BTreeMap::from(labels));
        let ports =
            (0..20).filter_map(|p| PortUse::from_binding("80/tcp", "", &format!("{}", 8000 + p)));
        node.ports = ports.collect();
        let mut images = ImageIndex::default();
        for image in 0..20 {
            images.insert(&format!("sha256:{image:064x}"), [format!("app-{image}:1").as_str()]);
        }
        node.images = Arc::new(images);
        board.publish(Arc::new(node));
    }
    board
}

fn main() {
    let cases = [
        ("nothing asked", json!({"Image": "app-1:1"})),
        (
            "cpu, memory, port, constraint",
            json!({"Image": "app-1:1", "Env": ["constraint:storage==ssd"],
                   "HostConfig": {"CpuShares": 1, "Memory": 1 << 20,
                                  "PortBindings": {"80/tcp": [{"HostPort": "80"}]}}}),
        ),
        ("container affinity", json!({"Image": "app-1:1", "Env": ["affinity:container!=db"]})),
        ("image affinity", json!({"Image": "app-1:1", "Env": ["affinity:image==app-1:1"]})),
        ("refused", json!({"Image": "app-1:1", "Env": ["constraint:storage==tape"]})),
        ("glob constraint", json!({"Image": "app-1:1", "Env": ["constraint:node==node-*1*"]})),
        (
            "regexp constraint",
            json!({"Image": "app-1:1", "Env": ["constraint:node==/node-[0-9]*7$/"]}),
        ),
    ];
    println!("{:>6}  {:<32}{:>12}{:>12}", "nodes", "request", "p50 µs", "p99 µs");
    for count in [100, 1000, 5000] {
        let board = board(count);
        let db = ListedContainer {
            node: board.nodes()[count / 2].id.clone(),
            id: "0".repeat(64),
            name: "db".to_owned(),
            labels: BTreeMap::new(),
        };
        let containers = ContainerList(vec![db]);
        let lookup = board.lookup(&containers);
        for (title, body) in &cases {
            let mut rng = StdRng::seed_from_u64(1);
            let mut body = body.clone();
            let Ok(request) = Request::from_create_body("web", &mut body) else { continue };
            let filters = FilterSet::default();
            let mut times: Vec<f64> = (0..ROUNDS)
                .map(|_| {
                    let start = Instant::now();
                    let decision = swarm_core::placement::place(
                        board.nodes(),
                        black_box(&request),
                        &filters,
                        Strategy::Spread,
                        &lookup,
                        &mut rng,
                    );
                    let _ = black_box(decision);
                    start.elapsed().as_secs_f64() * 1e6
                })
                .collect();
            times.sort_by(f64::total_cmp);
            let (p50, p99) = (times[ROUNDS / 2], times[ROUNDS * 99 / 100]);
            println!("{count:>6}  {title:<32}{p50:>12.1}{p99:>12.1}");
        }
    }
}
