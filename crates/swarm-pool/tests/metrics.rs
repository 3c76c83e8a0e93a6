//! What the pool tells of itself in numbers, over simulated engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::time::{Duration, Instant};

use http::Method;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;
use rig::{LONG, Named, Rig, act, config, create, eventually, exchange, node_of, whole};
use serde_json::{Value, json};
use swarm_backend::Nodes as _;
use swarm_kv::StoreError;
use swarm_pool::{Pool, PoolConfig, RescheduleConfig};
use swarm_testkit::exposition::Exposition;
use swarm_testkit::fleet::{Fleet, FleetConfig};

/// The pool's numbers, published as the binary does.
struct Read(Registry);

impl Read {
    fn of(pool: &std::sync::Arc<Pool>) -> Self {
        let mut registry = Registry::default();
        pool.register(registry.sub_registry_with_prefix("swarm"));
        Self(registry)
    }

    fn now(&self) -> Exposition {
        let open = || {
            let mut out = String::new();
            text::encode(&mut out, &self.0).unwrap();
            Exposition::parse(&out)
        };
        // The pool lives: a series may come up between two readings, so one stands on either side.
        let mut before = open().series().count();
        loop {
            let mut out = String::new();
            prometheus_text::encode(&mut out, &self.0).unwrap();
            let plain = Exposition::parse(&out);
            let after = open().series().count();
            if before == after {
                assert_eq!(plain.series().count(), after, "both formats tell the same");
                return plain;
            }
            before = after;
        }
    }

    fn get(&self, series: &str) -> f64 {
        self.now().get(series).unwrap_or_else(|| panic!("no series {series}"))
    }

    async fn becomes(&self, series: &str, value: f64) {
        eventually(&format!("{series} is {value}"), LONG, async || {
            (self.get(series) - value).abs() < 0.001
        })
        .await;
    }
}

fn quick() -> PoolConfig {
    let grace = Duration::from_millis(500);
    PoolConfig { reschedule: RescheduleConfig { grace, ..RescheduleConfig::default() }, ..config() }
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_containers_and_reservations_are_told_as_they_are() {
    let fleet = FleetConfig {
        engines: 3,
        containers_per_engine: 4,
        running: 6,
        cpus: 4,
        memory: 8 << 30,
        ..FleetConfig::default()
    };
    let rig = Rig::with(fleet, config()).await;
    let read = Read::of(&rig.pool);
    for (series, value) in [
        (r#"swarm_engines{state="healthy"}"#, 3.0),
        (r#"swarm_engines{state="unhealthy"}"#, 0.0),
        (r#"swarm_containers{state="running"}"#, 6.0),
        (r#"swarm_containers{state="exited"}"#, 6.0),
        (r#"swarm_containers{state="host_down"}"#, 0.0),
        ("swarm_cpus_capacity", 12.0),
        ("swarm_memory_capacity_bytes", f64::from(24 << 10) * 1_048_576.0),
        ("swarm_primary", 1.0),
        ("swarm_event_subscribers", 0.0),
    ] {
        assert!((read.get(series) - value).abs() < 0.001, "{series}: {}", read.get(series));
    }
    let (cpus, memory) = (read.get("swarm_cpus_reserved"), read.get("swarm_memory_reserved_bytes"));
    let wants = json!({"HostConfig": {"CpuShares": 2, "Memory": 1 << 20}});
    create(&rig.pool, "web", wants).await.unwrap();
    assert!((read.get("swarm_cpus_reserved") - cpus - 2.0).abs() < 0.001, "from the decision on");
    let now = read.get("swarm_memory_reserved_bytes");
    assert!((now - memory - 1_048_576.0).abs() < 0.5, "{now}");
    read.becomes(r#"swarm_containers{state="created"}"#, 1.0).await;

    let silent = &rig.fleet.engines()[0];
    silent.silence();
    read.becomes(r#"swarm_engines{state="unhealthy"}"#, 1.0).await;
    assert!(read.get(r#"swarm_containers{state="host_down"}"#) >= 4.0);
    assert!((read.get("swarm_cpus_capacity") - 8.0).abs() < 0.001, "only what can be had");
    assert!(read.get(r#"swarm_engine_failures_total{purpose="watch",reason="deadline"}"#) >= 3.0);
    let before = read.get("swarm_engine_reconnects_total");
    silent.restore();
    read.becomes("swarm_engine_reconnects_total", before + 1.0).await;
    read.becomes(r#"swarm_engines{state="healthy"}"#, 3.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn placements_creates_and_refusals_are_counted_by_filter() {
    let rig = Rig::of(2).await;
    let read = Read::of(&rig.pool);
    let health = r#"swarm_scheduling_refusals_total{filter="health"}"#;
    assert!(read.get(health) < 0.5, "known words are told from the beginning");
    create(&rig.pool, "one", json!({})).await.unwrap();
    let nowhere = json!({"Env": ["constraint:zone==moon"]});
    create(&rig.pool, "two", nowhere).await.unwrap_err();
    let large = json!({"HostConfig": {"Memory": 1_u64 << 50}});
    create(&rig.pool, "three", large).await.unwrap_err();
    create(&rig.pool, "one", json!({})).await.unwrap_err();
    rig.fleet.engines().iter().for_each(|engine| engine.stop());
    for engine in rig.fleet.engines() {
        rig.status(engine, "Unhealthy", LONG).await;
    }
    // Readers are told a moment before those who place are.
    read.becomes("swarm_cpus_capacity", 0.0).await;
    create(&rig.pool, "four", json!({})).await.unwrap_err();
    for (series, value) in [
        (r#"swarm_container_creates_total{result="created"}"#, 1.0),
        (r#"swarm_container_creates_total{result="refused"}"#, 4.0),
        (r#"swarm_scheduling_refusals_total{filter="constraint"}"#, 1.0),
        (r#"swarm_scheduling_refusals_total{filter="resources"}"#, 1.0),
        (health, 1.0),
        (r#"swarm_scheduling_duration_seconds_count{result="placed"}"#, 1.0),
        (r#"swarm_scheduling_duration_seconds_count{result="refused"}"#, 3.0),
    ] {
        assert!((read.get(series) - value).abs() < 0.001, "{series}: {}", read.get(series));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_are_counted_by_cause_and_failed_ones_too() {
    let fleet = FleetConfig { engines: 3, ..FleetConfig::default() };
    let rig = Rig::with(fleet, quick()).await;
    let read = Read::of(&rig.pool);
    let moved =
        |cause, result| format!(r#"swarm_moves_total{{cause="{cause}",result="{result}"}}"#);
    let mortal = json!({"Env": ["reschedule:on-node-failure"]});
    create(&rig.pool, "web", mortal).await.unwrap();
    act(&rig.pool, "web", "start", &Value::Null).await.unwrap();
    assert!((read.get(r#"swarm_store_objects{kind="intent"}"#) - 1.0).abs() < 0.001);
    let from = node_of(&rig.pool, "web").await;
    let engine = |name: &str| {
        let found = rig.fleet.engines().iter().find(|engine| engine.name() == name);
        std::sync::Arc::clone(found.unwrap())
    };
    engine(&from).silence();
    read.becomes(&moved("failure", "moved"), 1.0).await;
    assert!((read.get("swarm_containers_lost_total") - 1.0).abs() < 0.001);
    engine(&from).restore();
    read.becomes(r#"swarm_stale_copies_total{action="removed"}"#, 1.0).await;

    // A drain of the engine that has it now.
    let to = node_of(&rig.pool, "web").await;
    let node = async || {
        let asked = exchange(Method::GET, ("/nodes/", ""), &[], &Value::Null);
        whole(rig.pool.inspect_node(&to, asked).await).await.unwrap()
    };
    eventually("its record is there", LONG, async || node().await["Version"]["Index"] != 0).await;
    let version = node().await["Version"]["Index"].to_string();
    let spec = json!({"Availability": "drain"});
    let asked = exchange(Method::POST, ("/nodes/", "/update"), &[("version", &version)], &spec);
    whole(rig.pool.update_node(&to, asked).await).await.unwrap();
    read.becomes(&moved("drain", "moved"), 1.0).await;
    assert!((read.get(&moved("failure", "moved")) - 1.0).abs() < 0.001, "one cause each");

    // Nowhere to go: each attempt is counted as failed.
    let pinned = json!({"Env": ["reschedule:on-node-failure", "affinity:container==web"]});
    create(&rig.pool, "pinned", pinned).await.unwrap();
    for engine in rig.fleet.engines() {
        engine.silence();
    }
    for engine in rig.fleet.engines() {
        rig.status(engine, "Unhealthy", LONG).await;
    }
    let failed = moved("failure", "failed");
    let waits = "swarm_moves_waiting";
    eventually("it is told that it cannot go", LONG, async || {
        read.get(&failed) >= 1.0 || read.get(waits) >= 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_does_not_take_is_told_as_pending() {
    let rig = Rig::of(1).await;
    let read = Read::of(&rig.pool);
    let pending = r#"swarm_store_changes_pending{kind="intent"}"#;
    let down = StoreError::Unreachable { store: "memory".into(), reason: "test".into() };
    // Answered when it is kept: the store has been read by then, before which nothing is to be written.
    let kept = json!({"Env": ["reschedule:on-node-failure"]});
    create(&rig.pool, "kept", kept).await.unwrap();
    rig.store.fail(Some(down));
    create(&rig.pool, "one", json!({})).await.unwrap();
    read.becomes(pending, 1.0).await;
    rig.store.fail(None);
    read.becomes(pending, 0.0).await;
}

/// The figure of docs/metrics.md, printed; the bound only guards against a cost per container that
/// is out of all proportion, as tests run unoptimized on shared machines.
#[tokio::test(flavor = "multi_thread")]
async fn reading_a_large_pool_costs_little() {
    let fleet = FleetConfig { engines: 1_000, containers_per_engine: 20, ..FleetConfig::default() };
    let fleet = Fleet::start(fleet).await.unwrap();
    let named = Named::of(fleet.engines());
    let rig = Rig::over(fleet, named, config());
    let read = Read::of(&rig.pool);
    let healthy = r#"swarm_engines{state="healthy"}"#;
    eventually("all are healthy", Duration::from_mins(2), async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        read.get(healthy) > 999.5
    })
    .await;
    let total: f64 = read
        .now()
        .series()
        .filter(|(series, _)| series.starts_with("swarm_containers{"))
        .map(|(_, value)| value)
        .sum();
    assert!((total - 20_000.0).abs() < 0.5, "{total}");
    let mut took: Vec<Duration> = (0..21)
        .map(|_| {
            let (begun, mut out) = (Instant::now(), String::new());
            prometheus_text::encode(&mut out, &read.0).unwrap();
            begun.elapsed()
        })
        .collect();
    took.sort();
    println!(
        "a reading of 1,000 engines and 20,000 containers: {:?}, at most {:?}",
        took[10], took[20]
    );
    assert!(took[10] < Duration::from_millis(250), "{took:?}");
}
