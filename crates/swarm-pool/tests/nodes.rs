//! `/nodes` over simulated engines: what is shown, cordon, and taking one out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use rig::{LONG, Named, Rig, act, config, create, eventually, exchange, node_of, whole};
use serde_json::{Value, json};
use swarm_backend::Nodes as _;
use swarm_model::Policy;
use swarm_pool::{PoolConfig, RescheduleConfig};
use swarm_testkit::fleet::{Engine, FleetConfig};

async fn nodes(rig: &Rig, filters: &Value) -> Vec<Value> {
    let filters = filters.to_string();
    let asked = exchange(Method::GET, ("/nodes", ""), &[("filters", &filters)], &Value::Null);
    whole(rig.pool.list_nodes(asked).await).await.unwrap().as_array().unwrap().clone()
}

async fn node(rig: &Rig, name: &str) -> rig::Answer<Value> {
    let asked = exchange(Method::GET, ("/nodes/", ""), &[], &Value::Null);
    whole(rig.pool.inspect_node(name, asked).await).await
}

async fn update(rig: &Rig, name: &str, version: &str, spec: &Value) -> rig::Answer<Value> {
    let query = [("version", version)];
    let asked = exchange(Method::POST, ("/nodes/", "/update"), &query, spec);
    whole(rig.pool.update_node(name, asked).await).await
}

/// As `docker node update --availability` does it.
async fn set(rig: &Rig, name: &str, availability: &str) {
    let mut known = node(rig, name).await.unwrap();
    let version = known["Version"]["Index"].to_string();
    known["Spec"]["Availability"] = availability.into();
    update(rig, name, &version, &known["Spec"]).await.unwrap();
}

async fn take_out(rig: &Rig, name: &str, force: &str) -> rig::Answer<Value> {
    let asked = exchange(Method::DELETE, ("/nodes/", ""), &[("force", force)], &Value::Null);
    whole(rig.pool.remove_node(name, asked).await).await
}

/// Every engine has its record.
async fn recorded(rig: &Rig) {
    eventually("records", LONG, async || {
        nodes(rig, &json!({})).await.iter().all(|node| node["Version"]["Index"] != 0)
    })
    .await;
}

fn of(rig: &Rig, number: usize) -> &Arc<Engine> {
    rig.fleet.engine(number)
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_are_nodes_in_dockers_shape() {
    let rig = Rig::of(3).await;
    recorded(&rig).await;
    let all = nodes(&rig, &json!({})).await;
    let names: Vec<_> = all.iter().map(|node| node["Description"]["Hostname"].clone()).collect();
    assert_eq!(names, ["engine-0000", "engine-0001", "engine-0002"]);
    let one = node(&rig, "engine-0001").await.unwrap();
    assert_eq!(one, all[1]);
    assert_eq!(one["ID"], of(&rig, 1).id());
    assert_eq!(one["Spec"]["Role"], "worker");
    assert_eq!(one["Spec"]["Availability"], "active");
    assert_eq!(one["Status"]["State"], "ready");
    assert_eq!(one["Status"]["Addr"], of(&rig, 1).address().to_string());
    let resources = &one["Description"]["Resources"];
    assert!(resources["NanoCPUs"].as_i64().unwrap() >= 1_000_000_000, "{one}");
    assert!(resources["MemoryBytes"].as_i64().unwrap() > 0, "{one}");
    assert!(!one["Description"]["Engine"]["EngineVersion"].as_str().unwrap().is_empty());
    assert!(one["CreatedAt"].as_str().unwrap().starts_with("20"), "{one}");

    let by_id = json!({"id": {of(&rig, 2).id(): true}});
    assert_eq!(nodes(&rig, &by_id).await.len(), 1);
    assert_eq!(nodes(&rig, &json!({"name": ["engine-000"]})).await.len(), 3);
    assert_eq!(nodes(&rig, &json!({"role": ["manager"]})).await.len(), 0);
    assert_eq!(nodes(&rig, &json!({"node.label": ["ostype=linux"]})).await.len(), 3);
    assert_eq!(nodes(&rig, &json!({"label": ["nobody"]})).await.len(), 0);
    assert_eq!(node(&rig, of(&rig, 0).id()).await.unwrap()["ID"], of(&rig, 0).id());
    let missing = node(&rig, "nobody").await.unwrap_err();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert_eq!(missing.message, "node nobody not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_availability_can_be_changed_and_not_of_an_older_version() {
    let rig = Rig::of(1).await;
    recorded(&rig).await;
    let known = node(&rig, "engine-0000").await.unwrap();
    let version = known["Version"]["Index"].to_string();
    for (key, value, words) in [
        ("Role", json!("manager"), "the role"),
        ("Name", json!("other"), "the name"),
        ("Labels", json!({"a": "b"}), "the labels"),
        ("Availability", json!("later"), "expected active, pause or drain"),
    ] {
        let mut spec = known["Spec"].clone();
        spec[key] = value;
        let refused = update(&rig, "engine-0000", &version, &spec).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{key}");
        assert!(refused.message.contains(words), "{}", refused.message);
    }
    set(&rig, "engine-0000", "pause").await;
    let old = update(&rig, "engine-0000", &version, &json!({"Availability": "active"})).await;
    assert!(old.unwrap_err().message.contains("out of sequence"));
    assert_eq!(node(&rig, "engine-0000").await.unwrap()["Spec"]["Availability"], "pause");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cordoned_engine_keeps_what_it_has_and_gets_nothing_new() {
    let rig = Rig::of(2).await;
    recorded(&rig).await;
    create(&rig.pool, "before", json!({})).await.unwrap();
    let cordoned = node_of(&rig.pool, "before").await;
    set(&rig, &cordoned, "pause").await;
    for name in ["one", "two", "three"] {
        create(&rig.pool, name, json!({})).await.unwrap();
        assert_ne!(node_of(&rig.pool, name).await, cordoned);
    }
    assert_eq!(node_of(&rig.pool, "before").await, cordoned);
    let there = json!({"Env": [format!("constraint:node=={cordoned}")]});
    create(&rig.pool, "pinned", there.clone()).await.unwrap_err();

    // Another manager that takes over from the store cordons it as well.
    let stop = tokio_util::sync::CancellationToken::new();
    let kept = rig::kept_in(&rig.store);
    let named = Arc::new(rig.named.clone());
    let other = swarm_pool::Pool::start(config(), named, kept, stop.clone());
    let _stop = stop.drop_guard();
    eventually("the other manager is there", LONG, async || {
        rig::list(&other, &[("all", "1")]).await.len() == 4
    })
    .await;
    eventually("it has taken over", LONG, async || {
        let asked = exchange(Method::GET, ("/nodes/", ""), &[], &Value::Null);
        let shown = whole(other.inspect_node(&cordoned, asked).await).await;
        shown.is_ok_and(|node| node["Spec"]["Availability"] == "pause")
    })
    .await;
    create(&other, "pinned", there.clone()).await.unwrap_err();

    set(&rig, &cordoned, "active").await;
    create(&rig.pool, "pinned", there).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_down_can_be_taken_out_and_what_it_had_moves() {
    let reschedule = RescheduleConfig {
        // Only the word of a person makes it move so soon.
        grace: Duration::from_mins(10),
        policy: Policy::OnNodeFailure,
        ..RescheduleConfig::default()
    };
    let config = PoolConfig { reschedule, ..config() };
    let rig = Rig::with(FleetConfig { engines: 3, ..FleetConfig::default() }, config).await;
    recorded(&rig).await;
    create(&rig.pool, "web", json!({})).await.unwrap();
    act(&rig.pool, "web", "start", &Value::Null).await.unwrap();
    let from = node_of(&rig.pool, "web").await;
    let refused = take_out(&rig, &from, "0").await.unwrap_err();
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert!(refused.message.contains("is not down"), "{}", refused.message);

    let engine = rig.fleet.engines().iter().find(|engine| engine.name() == from).unwrap();
    engine.silence();
    rig.status(engine, "Unhealthy", LONG).await;
    assert_eq!(node(&rig, &from).await.unwrap()["Status"]["State"], "down");
    take_out(&rig, &from, "0").await.unwrap();
    assert_eq!(nodes(&rig, &json!({})).await.len(), 2);
    eventually("web is elsewhere", LONG, async || {
        rig::inspect(&rig.pool, "web").await.is_ok_and(|found| {
            found["State"]["Running"] == true && found["Node"]["Name"] != from.as_str()
        })
    })
    .await;

    // Whoever comes back is not gone.
    engine.restore();
    rig.named.set(rig.fleet.engines().iter());
    eventually("it is back", LONG, async || nodes(&rig, &json!({})).await.len() == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn force_takes_out_one_that_answers() {
    let rig = Rig::of(2).await;
    recorded(&rig).await;
    take_out(&rig, "engine-0001", "1").await.unwrap();
    let left = nodes(&rig, &json!({})).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["Description"]["Hostname"], "engine-0000");
    create(&rig.pool, "web", json!({})).await.unwrap();
    assert_eq!(node_of(&rig.pool, "web").await, "engine-0000");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_never_reached_is_shown_by_its_address() {
    let rig = Rig::of(1).await;
    let addresses = [of(&rig, 0).address().to_string(), "127.0.0.1:9".to_owned()];
    Named::set_addresses(&rig.named, addresses.into_iter());
    eventually("two are shown", LONG, async || nodes(&rig, &json!({})).await.len() == 2).await;
    let pending = node(&rig, "127.0.0.1:9").await.unwrap();
    assert_eq!(pending["Status"]["State"], "unknown");
    let spec = json!({"Availability": "drain"});
    let refused = update(&rig, "127.0.0.1:9", "0", &spec).await.unwrap_err();
    assert!(refused.message.contains("has not been reached yet"), "{}", refused.message);
}
