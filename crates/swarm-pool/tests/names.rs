//! Names and ids over the whole pool: one owner each, and what is ambiguous is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use rig::{
    LONG, Rig, config, create, direct, eventually, inspect, list, names, node_of, remove, rename,
};
use serde_json::{Value, json};
use swarm_testkit::fleet::FleetConfig;

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_parallel_creates_of_one_name_one_succeeds() {
    let rig = Rig::of(5).await;
    for round in 0..5 {
        let name = format!("wanted-{round}");
        let creates = (0..50).map(|_| {
            let (pool, name) = (rig.pool.clone(), name.clone());
            tokio::spawn(async move { create(&pool, &name, json!({})).await })
        });
        let outcomes: Vec<_> = join_all(creates).await.into_iter().map(Result::unwrap).collect();
        let made: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        assert_eq!(made.len(), 1);
        for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert_eq!(refused.status(), StatusCode::CONFLICT);
            let words = format!("Conflict. The container name \"/{name}\" is already in use by");
            assert!(refused.message.starts_with(&words), "{}", refused.message);
        }
        assert_eq!(inspect(&rig.pool, &name).await.unwrap()["Id"], made[0].as_str());
    }
    assert_eq!(rig.fleet.containers().0, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_free_as_soon_as_its_container_is_removed() {
    let rig = Rig::of(3).await;
    for round in 0..60 {
        create(&rig.pool, "web", json!({})).await.unwrap_or_else(|e| panic!("{round}: {e}"));
        remove(&rig.pool, "web").await.unwrap();
    }
    assert_eq!(rig.fleet.containers().0, 0);
    assert_eq!(inspect(&rig.pool, "web").await.unwrap_err().status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_takes_the_new_name_and_frees_the_old_at_once() {
    let rig = Rig::of(3).await;
    for round in 0..40 {
        let id = create(&rig.pool, "web", json!({})).await.unwrap();
        let kept = format!("web-{round}");
        rename(&rig.pool, "web", &kept).await.unwrap();
        assert_eq!(inspect(&rig.pool, &kept).await.unwrap()["Id"], id.as_str());
        let error = create(&rig.pool, &kept, json!({})).await.unwrap_err();
        assert_eq!(error.status(), StatusCode::CONFLICT, "{}", error.message);
    }
    assert_eq!(names(&rig.pool).await.len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_renames_to_one_name_one_succeeds() {
    let rig = Rig::of(4).await;
    for number in 0..16 {
        create(&rig.pool, &format!("c{number}"), json!({})).await.unwrap();
    }
    let renames = (0..16).map(|number| {
        let pool = rig.pool.clone();
        tokio::spawn(async move { rename(&pool, &format!("c{number}"), "chosen").await })
    });
    let outcomes: Vec<_> = join_all(renames).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(refused.status(), StatusCode::CONFLICT, "{}", refused.message);
        assert!(refused.message.contains("already in use"), "{}", refused.message);
    }
    let named = names(&rig.pool).await;
    assert_eq!(named.iter().filter(|name| name.ends_with("/chosen")).count(), 1);
    assert_eq!(named.len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_made_beside_the_manager_is_found_and_holds_its_name() {
    let rig = Rig::of(3).await;
    let body = rig::body(json!({}));
    let path = "/containers/create?name=beside";
    direct(rig.fleet.engine(1), Method::POST, path, &body).await.unwrap();
    eventually("it is listed", LONG, async || names(&rig.pool).await == ["/engine-0001/beside"])
        .await;
    assert_eq!(node_of(&rig.pool, "beside").await, "engine-0001");
    let error = create(&rig.pool, "beside", json!({})).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_on_two_nodes_is_ambiguous_until_the_node_is_said() {
    let rig = Rig::of(3).await;
    for number in 0..2 {
        let path = "/containers/create?name=twin";
        direct(rig.fleet.engine(number), Method::POST, path, &rig::body(json!({}))).await.unwrap();
    }
    eventually("both are listed", LONG, async || names(&rig.pool).await.len() == 2).await;
    let error = inspect(&rig.pool, "twin").await.unwrap_err();
    assert_eq!(error.status(), StatusCode::CONFLICT);
    for node in ["engine-0000/twin", "engine-0001/twin"] {
        assert!(error.message.contains(node), "{}", error.message);
        assert_eq!(format!("{}/twin", node_of(&rig.pool, node).await), node);
        assert_eq!(format!("{}/twin", node_of(&rig.pool, &format!("/{node}")).await), node);
    }
    let error = inspect(&rig.pool, "engine-0002/twin").await.unwrap_err();
    assert_eq!(error.status(), StatusCode::NOT_FOUND);
    remove(&rig.pool, "engine-0000/twin").await.unwrap();
    assert_eq!(node_of(&rig.pool, "twin").await, "engine-0001");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_prefix_names_one_container_or_is_refused() {
    let fleet = FleetConfig { engines: 3, containers_per_engine: 10, ..FleetConfig::default() };
    let rig = Rig::with(fleet, config()).await;
    let ids: Vec<String> = list(&rig.pool, &[("all", "1")])
        .await
        .iter()
        .map(|entry| entry["Id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 30);
    // Thirty ids cannot all begin with another digit.
    let mut starts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for id in &ids {
        starts.entry(&id[..1]).or_default().push(id);
    }
    let (shared, several) = starts.iter().find(|(_, ids)| ids.len() > 1).unwrap();
    let error = inspect(&rig.pool, shared).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::CONFLICT);
    assert!(error.message.contains("ambiguous"), "{}", error.message);
    for id in several.iter().take(2) {
        assert_eq!(inspect(&rig.pool, &id[..12]).await.unwrap()["Id"], Value::from(*id));
        assert_eq!(inspect(&rig.pool, id).await.unwrap()["Id"], Value::from(*id));
    }
    let error = inspect(&rig.pool, "nobody").await.unwrap_err();
    assert_eq!(error.status(), StatusCode::NOT_FOUND);
    assert_eq!(error.message, "No such container: nobody");
}
