//! A manager that is the primary no more changes nothing on any engine, whatever asks it to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::sync::Arc;
use std::time::Duration;

use rig::{Rig, act, config, create, create_network, eventually, list, names, remove};
use serde_json::{Value, json};
use swarm_kv::{KeyValue, Layout};
use swarm_memory::Memory;
use swarm_pool::{Election, ElectionConfig, PoolConfig};
use swarm_testkit::fleet::FleetConfig;

fn elect(store: &Arc<Memory>, name: &str) -> Election {
    let store: Arc<dyn KeyValue> = store.clone();
    let ttl = Duration::from_secs(5);
    let config = ElectionConfig { replication: true, name: name.to_owned(), ttl };
    Election::start(store, &Layout::new("pool", None), &config)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_lock_reads_go_on_and_no_engine_is_asked_to_change_anything() {
    let store = Memory::new();
    let election = elect(&store, "a:1");
    let fleet = FleetConfig { engines: 2, ..FleetConfig::default() };
    let rig = Rig::with(fleet, PoolConfig { election: election.clone(), ..config() }).await;
    eventually("it leads", rig::LONG, async || election.fence().check().is_ok()).await;
    create(&rig.pool, "web", json!({})).await.unwrap();
    act(&rig.pool, "web", "start", &Value::Null).await.unwrap();

    election.resign().await;
    rig.fleet.reset_requests();
    let refusals = [
        create(&rig.pool, "more", json!({})).await.map(drop),
        act(&rig.pool, "web", "stop", &Value::Null).await.map(drop),
        remove(&rig.pool, "web").await.map(drop),
        create_network(&rig.pool, "net").await.map(drop),
    ];
    for refusal in refusals {
        let error = refusal.unwrap_err();
        assert_eq!(error.status(), 503, "{error}");
        assert!(error.message.contains("no primary manager at the moment"), "{error}");
    }
    assert_eq!(list(&rig.pool, &[]).await.len(), 1, "it answers reads");
    assert_eq!(names(&rig.pool).await.len(), 1);
    assert_eq!(rig.fleet.containers(), (1, 1));
    let changes: Vec<_> =
        rig.fleet.requests().into_keys().filter(|route| !route.starts_with("GET")).collect();
    assert!(changes.is_empty(), "{changes:?}");
}
