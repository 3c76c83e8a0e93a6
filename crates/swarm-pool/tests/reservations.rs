//! Creates at the same moment: nothing is given away twice, and nothing stays taken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use futures_util::future::join_all;
use http::StatusCode;
use rig::{Answer, Named, Rig, act, config, create, inspect, node_of, remove};
use serde_json::{Value, json};
use swarm_core::placement::strategy::Strategy;
use swarm_pool::PoolConfig;
use swarm_testkit::fleet::{Fleet, FleetConfig};

const GIB: u64 = 1 << 30;

/// Engines of 4 GiB.
fn small(engines: usize) -> FleetConfig {
    FleetConfig { engines, memory: 4 * GIB, cpus: 4, ..FleetConfig::default() }
}

fn memory(gib: u64) -> Value {
    json!({"HostConfig": {"Memory": gib * GIB}})
}

fn port(number: u16) -> Value {
    json!({"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": number.to_string()}]}}})
}

/// All of them at once, each under its own name.
async fn at_once(rig: &Rig, count: usize, body: &Value) -> Vec<Answer<String>> {
    let creates = (0..count).map(|number| {
        let (pool, body) = (rig.pool.clone(), body.clone());
        tokio::spawn(async move { create(&pool, &format!("c{number}"), body).await })
    });
    join_all(creates).await.into_iter().map(Result::unwrap).collect()
}

fn refusals(outcomes: &[Answer<String>]) -> Vec<&str> {
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    refused
        .map(|error| {
            assert_eq!(error.status(), StatusCode::CONFLICT, "{}", error.message);
            error.message.as_str()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_parallel_creates_get_exactly_the_memory_there_is() {
    for strategy in [Strategy::Spread, Strategy::Binpack, Strategy::Random] {
        let rig = Rig::with(small(4), PoolConfig { strategy, ..config() }).await;
        let outcomes = at_once(&rig, 64, &memory(1)).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 16, "{strategy}");
        for words in refusals(&outcomes) {
            assert!(words.contains("no resources available"), "{words}");
        }
        for engine in rig.fleet.engines() {
            assert_eq!(engine.containers().0, 4, "{strategy}");
            let reserved = rig.row(engine, "Reserved Memory").await.unwrap();
            assert_eq!(reserved, "4 GiB / 4 GiB", "{strategy}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_port_is_given_once_per_engine() {
    let rig = Rig::with(small(8), config()).await;
    let outcomes = at_once(&rig, 64, &port(8080)).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 8);
    for words in refusals(&outcomes) {
        assert!(words.contains("port"), "{words}");
    }
    assert!(rig.fleet.engines().iter().all(|engine| engine.containers().0 == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_removed_container_held_can_be_had_at_once() {
    let rig = Rig::with(small(1), config()).await;
    for round in 0..40 {
        let name = format!("memory-{round}");
        create(&rig.pool, &name, memory(4)).await.unwrap_or_else(|e| panic!("{round}: {e}"));
        remove(&rig.pool, &name).await.unwrap();
        create(&rig.pool, "port", port(80)).await.unwrap_or_else(|e| panic!("{round}: {e}"));
        act(&rig.pool, "port", "start", &Value::Null).await.unwrap();
        remove(&rig.pool, "port").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_changes_what_is_reserved_at_once() {
    let rig = Rig::with(small(1), config()).await;
    create(&rig.pool, "first", memory(3)).await.unwrap();
    create(&rig.pool, "second", memory(2)).await.unwrap_err();
    act(&rig.pool, "first", "update", &json!({"Memory": 2 * GIB})).await.unwrap();
    create(&rig.pool, "second", memory(2)).await.unwrap();
    let reserved = rig.row(rig.fleet.engine(0), "Reserved Memory").await.unwrap();
    assert_eq!(reserved, "4 GiB / 4 GiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_updates_is_read_back_whole() {
    let rig = Rig::with(FleetConfig { memory: 1024 * GIB, ..small(1) }, config()).await;
    for outcome in at_once(&rig, 150, &memory(1)).await {
        outcome.unwrap();
    }
    rig.row(rig.fleet.engine(0), "Status").await;
    let updates = (0..150).map(|number| {
        let pool = rig.pool.clone();
        let more = json!({"Memory": 2 * GIB});
        tokio::spawn(async move { act(&pool, &format!("c{number}"), "update", &more).await })
    });
    for outcome in join_all(updates).await {
        outcome.unwrap().unwrap();
    }
    let reserved = rig.row(rig.fleet.engine(0), "Reserved Memory").await.unwrap();
    assert_eq!(reserved, "300 GiB / 1 TiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_pulled_goes_where_it_is() {
    let plain = Fleet::start(FleetConfig { engines: 4, ..small(4) }).await.unwrap();
    let images = vec!["missing/app:1".to_owned()];
    let with_image = FleetConfig { first: 4, images, ..small(1) };
    let holder = Fleet::start(with_image).await.unwrap();
    let named = Named::of(plain.engines());
    let mut all = plain.engines().to_vec();
    all.extend(holder.engines().iter().cloned());
    named.set(all.iter());
    let rig = Rig::over(plain, named, config());
    rig.all_healthy(rig::LONG).await;
    rig.status(holder.engine(0), "Healthy", rig::LONG).await;
    let app = json!({"Image": "missing/app:1"});
    for number in 0..5 {
        let name = format!("app-{number}");
        create(&rig.pool, &name, app.clone()).await.unwrap();
        assert_eq!(node_of(&rig.pool, &name).await, "engine-0004");
    }
    let pinned = json!({"Image": "missing/app:1", "Env": ["constraint:node==engine-0000"]});
    let error = create(&rig.pool, "pinned", pinned).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::NOT_FOUND, "{}", error.message);
    inspect(&rig.pool, "pinned").await.unwrap_err();
}
