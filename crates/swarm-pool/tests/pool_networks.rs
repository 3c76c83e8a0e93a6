//! Networks of the pool: one id everywhere, a copy wherever it is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use http::{Method, StatusCode};
use rig::{
    LONG, Named, Rig, act, config, create, create_network, exchange, inspect, list, node_of, whole,
};
use serde_json::{Value, json};
use swarm_backend::Networks;
use swarm_pool::Pool;
use swarm_testkit::fleet::{Fleet, FleetConfig};

async fn networks(pool: &Pool) -> Vec<Value> {
    let asked = exchange(Method::GET, ("/networks", ""), &[], &Value::Null);
    let listed = whole(pool.list_networks(asked).await).await.unwrap();
    listed.as_array().unwrap().clone()
}

async fn inspect_network(pool: &Pool, name: &str) -> Value {
    let asked = exchange(Method::GET, ("/networks/", ""), &[], &Value::Null);
    whole(pool.inspect_network(name, asked).await).await.unwrap()
}

async fn remove_network(pool: &Pool, name: &str) -> rig::Answer<Value> {
    let asked = exchange(Method::DELETE, ("/networks/", ""), &[], &Value::Null);
    whole(pool.remove_network(name, asked).await).await
}

fn on(node: usize) -> Value {
    json!({
        "HostConfig": {"NetworkMode": "web"},
        "Env": [format!("constraint:node==engine-{node:04}")]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_has_one_id_wherever_it_is_shown() {
    let fleet = Fleet::start(FleetConfig { engines: 4, ..FleetConfig::default() }).await.unwrap();
    let named = Named::of(&fleet.engines()[..3]);
    let rig = Rig::over(fleet, named, config());
    for engine in &rig.fleet.engines()[..3] {
        rig.status(engine, "Healthy", LONG).await;
    }
    let made = create_network(&rig.pool, "web").await.unwrap();
    let id = made["Id"].as_str().unwrap().to_owned();
    let shown: Vec<_> =
        networks(&rig.pool).await.into_iter().filter(|n| n["Name"] == "web").collect();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["Id"], id.as_str());

    // An engine that comes later has no copy, until a container there needs one.
    rig.named.set(rig.fleet.engines().iter());
    rig.all_healthy(LONG).await;
    for node in 0..4 {
        let name = format!("c{node}");
        create(&rig.pool, &name, on(node)).await.unwrap();
        act(&rig.pool, &name, "start", &Value::Null).await.unwrap();
        assert_eq!(node_of(&rig.pool, &name).await, format!("engine-{node:04}"));
        let inspected = inspect(&rig.pool, &name).await.unwrap();
        assert_eq!(inspected["NetworkSettings"]["Networks"]["web"]["NetworkID"], id.as_str());
    }
    for entry in list(&rig.pool, &[]).await {
        assert_eq!(entry["NetworkSettings"]["Networks"]["web"]["NetworkID"], id.as_str());
    }
    for by in [id.as_str(), "web", &id[..12]] {
        let inspected = inspect_network(&rig.pool, by).await;
        assert_eq!(inspected["Id"], id.as_str());
        assert_eq!(inspected["Containers"].as_object().unwrap().len(), 4, "of all engines");
    }
    // By id as by name: what a client was shown must be usable.
    let by_id = json!({"HostConfig": {"NetworkMode": id}});
    create(&rig.pool, "by-id", by_id).await.unwrap();

    let error = remove_network(&rig.pool, "web").await.unwrap_err();
    assert_eq!(error.status(), StatusCode::FORBIDDEN, "{}", error.message);
    for name in ["c0", "c1", "c2", "c3", "by-id"] {
        rig::remove(&rig.pool, name).await.unwrap();
    }
    remove_network(&rig.pool, "web").await.unwrap();
    assert!(networks(&rig.pool).await.iter().all(|network| network["Name"] != "web"));
    create_network(&rig.pool, "web").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_creates_of_one_network_one_succeeds() {
    let rig = Rig::of(3).await;
    let creates = (0..20).map(|_| {
        let pool = rig.pool.clone();
        tokio::spawn(async move { create_network(&pool, "web").await })
    });
    let outcomes = futures_util::future::join_all(creates).await;
    let made = outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count();
    assert_eq!(made, 1);
    let shown: Vec<_> =
        networks(&rig.pool).await.into_iter().filter(|n| n["Name"] == "web").collect();
    assert_eq!(shown.len(), 1, "{shown:?}");
    for node in 0..3 {
        create(&rig.pool, &format!("c{node}"), on(node)).await.unwrap();
    }
}
