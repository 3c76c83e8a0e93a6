//! What was written is read, what is read is true, and what is quiet is left alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::time::Duration;

use http::{Method, StatusCode};
use rig::{
    LONG, Rig, act, config, create, direct, eventually, inspect, list, names, node_of, remove,
    rename,
};
use serde_json::{Value, json};
use swarm_pool::PoolConfig;
use swarm_testkit::fleet::FleetConfig;

fn refreshing(millis: u64) -> PoolConfig {
    let period = Duration::from_millis(millis);
    PoolConfig { refresh: (period, period), ..config() }
}

fn filled(engines: usize, containers_per_engine: usize) -> FleetConfig {
    FleetConfig { engines, containers_per_engine, ..FleetConfig::default() }
}

/// The state a list shows for a container; `None` when it is not listed.
async fn listed_state(rig: &Rig, name: &str) -> Option<String> {
    let ending = format!("/{name}");
    let listed = list(&rig.pool, &[("all", "1")]).await;
    let entry = listed.iter().find(|e| e["Names"][0].as_str().unwrap().ends_with(&ending))?;
    Some(entry["State"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_is_seen_by_the_next_read() {
    let rig = Rig::of(3).await;
    for round in 0..15 {
        let (name, other) = (format!("old-{round}"), format!("new-{round}"));
        create(&rig.pool, &name, json!({})).await.unwrap();
        assert_eq!(listed_state(&rig, &name).await.as_deref(), Some("created"));
        act(&rig.pool, &name, "start", &Value::Null).await.unwrap();
        assert_eq!(listed_state(&rig, &name).await.as_deref(), Some("running"));
        assert_eq!(inspect(&rig.pool, &name).await.unwrap()["State"]["Running"], true);
        act(&rig.pool, &name, "pause", &Value::Null).await.unwrap();
        assert_eq!(listed_state(&rig, &name).await.as_deref(), Some("paused"));
        act(&rig.pool, &name, "unpause", &Value::Null).await.unwrap();
        rename(&rig.pool, &name, &other).await.unwrap();
        assert_eq!(listed_state(&rig, &name).await, None);
        assert_eq!(listed_state(&rig, &other).await.as_deref(), Some("running"));
        assert_eq!(inspect(&rig.pool, &name).await.unwrap_err().status(), StatusCode::NOT_FOUND);
        act(&rig.pool, &other, "stop", &Value::Null).await.unwrap();
        assert_eq!(listed_state(&rig, &other).await.as_deref(), Some("exited"));
        remove(&rig.pool, &other).await.unwrap();
        assert_eq!(listed_state(&rig, &other).await, None);
        assert_eq!(inspect(&rig.pool, &other).await.unwrap_err().status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_an_event_is_found_by_the_next_refresh() {
    let rig = Rig::with(filled(2, 0), refreshing(200)).await;
    create(&rig.pool, "web", json!({})).await.unwrap();
    act(&rig.pool, "web", "start", &Value::Null).await.unwrap();
    let node = node_of(&rig.pool, "web").await;
    let engine = rig.fleet.engines().iter().find(|engine| engine.name() == node).unwrap();
    engine.lose_events(true);
    engine.finish("web", 3);
    eventually("the end is seen", LONG, async || {
        listed_state(&rig, "web").await.as_deref() == Some("exited")
    })
    .await;
    direct(engine, Method::DELETE, "/containers/web", &Value::Null).await.unwrap();
    eventually("the removal is seen", LONG, async || listed_state(&rig, "web").await.is_none())
        .await;
    create(&rig.pool, "web", json!({})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_comes_back_unseen_is_found_by_the_next_refresh() {
    let rig = Rig::with(filled(1, 0), refreshing(200)).await;
    let engine = rig.fleet.engine(0);
    create(&rig.pool, "web", json!({})).await.unwrap();
    act(&rig.pool, "web", "start", &Value::Null).await.unwrap();
    let lists = || engine.requests().get("GET /containers/json").copied().unwrap_or_default();
    let full = lists();
    eventually("a full reading", LONG, async || lists() > full + 1).await;
    // Seen as paused; then running again as in the last full list, and no event says so.
    act(&rig.pool, "web", "pause", &Value::Null).await.unwrap();
    engine.lose_events(true);
    assert_eq!(listed_state(&rig, "web").await.as_deref(), Some("paused"));
    direct(engine, Method::POST, "/containers/web/unpause", &Value::Null).await.unwrap();
    eventually("it runs again", LONG, async || {
        listed_state(&rig, "web").await.as_deref() == Some("running")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_of_a_quiet_engine_inspects_nothing() {
    let rig = Rig::with(filled(2, 20), refreshing(100)).await;
    rig.fleet.reset_requests();
    let count = |route: &str| rig.fleet.requests().get(route).copied().unwrap_or_default();
    eventually("ten refreshes", LONG, async || count("GET /containers/json") >= 20).await;
    assert_eq!(count("GET /containers/{id}/json"), 0, "{:?}", rig.fleet.requests());
    assert_eq!(list(&rig.pool, &[("all", "1")]).await.len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_never_answered_is_made_elsewhere_and_what_it_left_is_removed() {
    let rig = Rig::with(filled(2, 0), PoolConfig { create_retries: 1, ..config() }).await;
    // Spread takes the empty engine.
    create(&rig.pool, "other", json!({})).await.unwrap();
    let taken = node_of(&rig.pool, "other").await;
    let silent = rig.fleet.engines().iter().find(|engine| engine.name() != taken).unwrap();
    silent.delay(Duration::from_millis(300));
    let asked = |route: &str| silent.requests().get(route).copied().unwrap_or_default();
    let pool = rig.pool.clone();
    let creating = tokio::spawn(async move { create(&pool, "web", json!({})).await });
    eventually("the engine is asked", LONG, async || asked("POST /containers/create") == 1).await;
    // Its answer is on the way, and never comes.
    silent.silence();
    creating.await.unwrap().unwrap();
    assert_eq!(node_of(&rig.pool, "web").await, taken);
    assert_eq!(silent.containers().0, 1, "the engine made it, too");
    silent.delay(Duration::ZERO);
    silent.restore();
    rig.status(silent, "Healthy", LONG).await;
    eventually("what it left is removed", LONG, async || silent.containers().0 == 0).await;
    assert_eq!(node_of(&rig.pool, "web").await, taken);
    eventually("one is listed", LONG, async || names(&rig.pool).await.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_never_answered_fails_in_words_and_leaves_nothing() {
    let rig = Rig::of(1).await;
    let silent = rig.fleet.engine(0);
    silent.delay(Duration::from_millis(300));
    let pool = rig.pool.clone();
    let creating = tokio::spawn(async move { create(&pool, "web", json!({})).await });
    eventually("the engine is asked", LONG, async || {
        silent.requests().contains_key("POST /containers/create")
    })
    .await;
    silent.silence();
    let error = creating.await.unwrap().unwrap_err();
    assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(error.message.contains(silent.name()), "{}", error.message);
    silent.delay(Duration::ZERO);
    silent.restore();
    rig.status(silent, "Healthy", LONG).await;
    eventually("what it left is removed", LONG, async || silent.containers().0 == 0).await;
    // And the name, the memory and the place are free again.
    eventually("the name is free", LONG, async || {
        create(&rig.pool, "web", json!({})).await.is_ok()
    })
    .await;
    eventually("one is listed", LONG, async || names(&rig.pool).await.len() == 1).await;
}
