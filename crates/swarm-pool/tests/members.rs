//! Engines that come, go, and are one: discovery at run time, identities, versions, a new manager.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::time::Duration;

use http::{Method, StatusCode};
use rig::{
    LONG, Named, Rig, act, config, create, eventually, exchange, inspect, list, names, node_of,
    row, whole,
};
use serde_json::{Value, json};
use swarm_backend::{Containers, System};
use swarm_docker::ApiVersion;
use swarm_testkit::fleet::{Fleet, FleetConfig};

fn fleet(engines: usize) -> FleetConfig {
    FleetConfig { engines, ..FleetConfig::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_leaves_takes_its_containers_and_their_names_with_it() {
    let rig = Rig::with(fleet(3), config()).await;
    for number in 0..6 {
        create(&rig.pool, &format!("web-{number}"), json!({})).await.unwrap();
    }
    let on_last = |names: Vec<String>| -> Vec<String> {
        names
            .iter()
            .filter_map(|name| name.strip_prefix("/engine-0002/").map(str::to_owned))
            .collect()
    };
    let theirs = on_last(names(&rig.pool).await);
    assert_eq!(theirs.len(), 2);
    // Still unread when the engine leaves: it must not stay behind either.
    let pinned = json!({"Env": ["constraint:node==engine-0002"]});
    create(&rig.pool, "fresh", pinned).await.unwrap();
    rig.named.set(rig.fleet.engines()[..2].iter());
    eventually("the engine is gone", LONG, async || {
        let info = rig::info(&rig.pool).await;
        row(&info, &rig.fleet.engine(2).address().to_string(), "Status").is_none()
            && names(&rig.pool).await.len() == 4
    })
    .await;
    for name in theirs.iter().map(String::as_str).chain(["fresh"]) {
        eventually("it is not found", LONG, async || {
            inspect(&rig.pool, name).await.is_err_and(|e| e.status() == StatusCode::NOT_FOUND)
        })
        .await;
        create(&rig.pool, name, json!({})).await.unwrap();
    }
    assert_eq!(names(&rig.pool).await.len(), 7);
    assert_eq!(rig.fleet.engine(2).event_streams(), 0, "nobody listens to it any more");

    // It comes back with containers whose names are others' now.
    rig.named.set(rig.fleet.engines().iter());
    rig.all_healthy(LONG).await;
    assert_eq!(names(&rig.pool).await.len(), 10);
    let error = inspect(&rig.pool, "fresh").await.unwrap_err();
    assert_eq!(error.status(), StatusCode::CONFLICT, "{}", error.message);
    inspect(&rig.pool, "engine-0002/fresh").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_joins_is_used() {
    let fleet = Fleet::start(fleet(3)).await.unwrap();
    let named = Named::of(&fleet.engines()[..1]);
    let rig = Rig::over(fleet, named, config());
    rig.status(rig.fleet.engine(0), "Healthy", LONG).await;
    create(&rig.pool, "first", json!({})).await.unwrap();
    rig.named.set(rig.fleet.engines().iter());
    rig.all_healthy(LONG).await;
    for number in 0..5 {
        create(&rig.pool, &format!("web-{number}"), json!({})).await.unwrap();
    }
    assert!(rig.fleet.engines().iter().all(|engine| engine.containers().0 == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_with_one_id_are_refused_by_both_addresses() {
    let fleet = Fleet::start(FleetConfig { containers_per_engine: 1, ..fleet(2) }).await.unwrap();
    let (first, second) = (fleet.engine(0).clone(), fleet.engine(1).clone());
    second.assume_id(first.id());
    let named = Named::of(&fleet.engines()[..1]);
    let rig = Rig::over(fleet, named, config());
    rig.status(&first, "Healthy", LONG).await;
    rig.named.set(rig.fleet.engines().iter());
    eventually("the second is refused", LONG, async || {
        rig.row(&second, "Error").await.is_some_and(|error| {
            error.contains(&first.address().to_string())
                && error.contains(&second.address().to_string())
                && error.contains(first.id())
        })
    })
    .await;
    assert_eq!(rig.row(&second, "Status").await.as_deref(), Some("Pending"));
    assert_eq!(rig.row(&first, "Status").await.as_deref(), Some("Healthy"));
    assert_eq!(list(&rig.pool, &[("all", "1")]).await.len(), 1, "one is counted");
    for number in 0..4 {
        create(&rig.pool, &format!("web-{number}"), json!({})).await.unwrap();
    }
    assert_eq!(second.containers().0, 1, "nothing is placed on the second");
    // The id is free again when its owner leaves.
    rig.named.set(rig.fleet.engines()[1..].iter());
    rig.status(&second, "Healthy", LONG).await;
    create(&rig.pool, "after", json!({})).await.unwrap();
    assert_eq!(second.containers().0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_engine_at_a_known_address_is_taken_for_what_it_is() {
    let rig = Rig::with(FleetConfig { containers_per_engine: 2, ..fleet(2) }, config()).await;
    let engine = rig.fleet.engine(1);
    engine.stop();
    rig.status(engine, "Unhealthy", LONG).await;
    engine.assume_id("ANOTHER:ENGINE");
    engine.resume().unwrap();
    rig.status(engine, "Healthy", LONG).await;
    assert_eq!(rig.row(engine, "ID").await.as_deref(), Some("ANOTHER:ENGINE"));
    assert_eq!(list(&rig.pool, &[("all", "1")]).await.len(), 4);
    let pinned = json!({"Env": ["constraint:node==engine-0001"]});
    create(&rig.pool, "web", pinned).await.unwrap();
    assert_eq!(node_of(&rig.pool, "web").await, "engine-0001");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_manager_sees_what_the_old_one_made() {
    let rig = Rig::with(fleet(3), config()).await;
    for number in 0..9 {
        let name = format!("web-{number}");
        create(&rig.pool, &name, json!({"HostConfig": {"Memory": 1 << 30}})).await.unwrap();
        if number % 2 == 0 {
            act(&rig.pool, &name, "start", &Value::Null).await.unwrap();
        }
    }
    let mut seen = Vec::new();
    let (second, _stop) = rig.second(config());
    for pool in [&rig.pool, &second] {
        eventually("all engines are healthy", LONG, async || {
            let info = rig::info(pool).await;
            rig.fleet.engines().iter().all(|engine| {
                row(&info, &engine.address().to_string(), "Status").as_deref() == Some("Healthy")
            })
        })
        .await;
        let mut listed = list(pool, &[("all", "1")]).await;
        for entry in &mut listed {
            // Words of time pass between the two.
            entry["Status"] = Value::Null;
        }
        let info = rig::info(pool).await;
        let reserved: Vec<_> = rig
            .fleet
            .engines()
            .iter()
            .map(|engine| row(&info, &engine.address().to_string(), "Reserved Memory"))
            .collect();
        seen.push((listed, reserved));
    }
    assert_eq!(seen[0], seen[1]);
    let error = create(&second, "web-0", json!({})).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_engine_is_spoken_to_in_a_version_it_knows() {
    let ranges = [("1.41", "1.24"), ("1.51", "1.44")];
    let mut fleets = Vec::new();
    for (first, (newest, oldest)) in ranges.into_iter().enumerate() {
        fleets.push(
            Fleet::start(FleetConfig {
                first,
                api_version: Some(newest.to_owned()),
                min_api_version: Some(oldest.to_owned()),
                ..fleet(1)
            })
            .await
            .unwrap(),
        );
    }
    let newer = fleets.pop().unwrap();
    let named = Named::of(&[fleets[0].engine(0).clone(), newer.engine(0).clone()]);
    let rig = Rig::over(fleets.pop().unwrap(), named, config());
    rig.all_healthy(LONG).await;
    rig.status(newer.engine(0), "Healthy", LONG).await;
    eventually("the lowest newest is served", LONG, async || {
        rig.pool.served().newest == ApiVersion::new(1, 41)
    })
    .await;
    // Both refuse a version outside their range, so an answer shows that it was brought inside.
    for (number, asked) in [(0, Some(51)), (0, Some(24)), (0, None), (1, Some(24)), (1, None)] {
        let name =
            format!("web-{}", asked.map_or("none".to_owned(), |minor| format!("{number}-{minor}")));
        let node = format!("constraint:node==engine-{number:04}");
        let _ = create(&rig.pool, &name, json!({"Env": [node]})).await;
        let mut asking = exchange(Method::GET, ("/containers/", "/json"), &[], &Value::Null);
        asking.version = asked.map(|minor| ApiVersion::new(1, minor));
        whole(rig.pool.inspect_container(&name, asking).await).await.unwrap();
    }
    // The older one leaves, and more is served.
    rig.named.set([newer.engine(0).clone()].iter());
    eventually("the newest is served", Duration::from_secs(5), async || {
        rig.pool.served().newest == ApiVersion::new(1, 51)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_engine_at_an_address_is_noticed_though_it_never_failed_a_request() {
    let rig = Rig::with(fleet(2), config()).await;
    let engine = rig.fleet.engine(0);
    let address = engine.address().to_string();
    let id = async || row(&rig::info(&rig.pool).await, &address, "ID").unwrap_or_default();
    let first = id().await;
    engine.assume_id("ANOTHER:ENGINE");
    engine.cut_events();
    eventually("the newcomer is known", LONG, async || id().await == "ANOTHER:ENGINE").await;
    assert_ne!(first, "ANOTHER:ENGINE");
    rig.all_healthy(LONG).await;

    // One that takes over the id of an engine which is in the pool is refused.
    engine.assume_id(rig.fleet.engine(1).id());
    engine.cut_events();
    eventually("the twin is refused", LONG, async || {
        let error = row(&rig::info(&rig.pool).await, &address, "Error").unwrap_or_default();
        error.contains("is used by two addresses")
    })
    .await;
}
