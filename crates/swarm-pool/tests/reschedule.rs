//! Containers that move when their engine fails, over simulated engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::time::Duration;

use http::Method;
use rig::{LONG, Rig, act, config, create, direct, eventually, inspect, list, node_of, remove};
use serde_json::{Value, json};
use swarm_kv::{KeyValue as _, StoreError, Write};
use swarm_model::{Desired, EngineRef, FORMAT, Intent, Kept as _, Place, Policy, Removed};
use swarm_pool::{PoolConfig, RescheduleConfig};
use swarm_testkit::fleet::{Engine, FleetConfig};

fn quick(policy: Policy) -> PoolConfig {
    let grace = Duration::from_millis(500);
    let reschedule = RescheduleConfig { policy, grace, ..RescheduleConfig::default() };
    PoolConfig { reschedule, ..config() }
}

async fn rig() -> Rig {
    Rig::with(FleetConfig { engines: 3, ..FleetConfig::default() }, quick(Policy::Off)).await
}

fn on_failure() -> Value {
    json!({"Env": ["reschedule:on-node-failure"]})
}

async fn run(rig: &Rig, name: &str, body: Value) {
    create(&rig.pool, name, body).await.unwrap();
    act(&rig.pool, name, "start", &Value::Null).await.unwrap();
}

fn engine_named<'r>(rig: &'r Rig, name: &str) -> &'r Engine {
    rig.fleet.engines().iter().find(|engine| engine.name() == name).unwrap()
}

/// The engines that have a container of this name, by their own books.
fn holders(rig: &Rig, name: &str) -> Vec<String> {
    let has = |engine: &&std::sync::Arc<Engine>| {
        engine.container_names().iter().any(|known| known.trim_start_matches('/') == name)
    };
    rig.fleet.engines().iter().filter(has).map(|engine| engine.name().to_owned()).collect()
}

async fn is_up(engine: &Engine, name: &str) -> bool {
    let path = format!("/containers/{name}/json");
    let found = direct(engine, Method::GET, &path, &Value::Null);
    // One that is silent is not waited for.
    let found = tokio::time::timeout(Duration::from_secs(1), found).await;
    found.is_ok_and(|found| found.is_ok_and(|found| found["State"]["Running"] == true))
}

async fn intent(rig: &Rig, name: &str) -> Option<Intent> {
    let kept = rig.store.list("docker/swarm/intents").await.unwrap();
    let mut kept = kept.iter().map(|item| Intent::parse(&item.value).unwrap());
    kept.find(|intent| intent.name == name)
}

/// Waits until `name` runs on another engine than `from`; which.
async fn moved(rig: &Rig, name: &str, from: &str) -> String {
    let mut to = String::new();
    eventually(&format!("{name} runs elsewhere"), LONG, async || {
        for engine in rig.fleet.engines().iter().filter(|engine| engine.name() != from) {
            if is_up(engine, name).await {
                engine.name().clone_into(&mut to);
                return true;
            }
        }
        false
    })
    .await;
    to
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_moves_when_its_engine_fails_and_its_old_copy_goes_when_it_returns() {
    let rig = rig().await;
    run(&rig, "web", on_failure()).await;
    run(&rig, "plain", json!({})).await;
    let from = node_of(&rig.pool, "web").await;
    engine_named(&rig, &from).silence();
    let to = moved(&rig, "web", &from).await;
    eventually("the pool shows it there", LONG, async || node_of(&rig.pool, "web").await == to)
        .await;
    let shown = list(&rig.pool, &[("all", "1")]).await;
    let webs: Vec<_> = shown.iter().filter(|c| c["Names"].to_string().contains("/web\"")).collect();
    assert_eq!(webs.len(), 1, "{webs:?}");
    let kept = intent(&rig, "web").await.unwrap();
    assert_eq!((kept.generation, kept.moves.len(), kept.desired), (2, 1, Desired::Running));
    assert_eq!(kept.moves[0].to.as_ref().map(|to| to.name.clone()), Some(to.clone()));
    assert!(kept.moves[0].reason.contains(&from), "{}", kept.moves[0].reason);

    engine_named(&rig, &from).restore();
    eventually("the stale copy is gone", LONG, async || holders(&rig, "web") == [to.clone()]).await;
    assert_eq!(holders(&rig, "plain").len(), 1, "nothing else was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_data_or_no_policy_stays_and_is_shown_as_lost() {
    let rig = rig().await;
    let node = json!({"Env": ["reschedule:on-node-failure", "constraint:node==sim-1"],
        "HostConfig": {"Binds": ["/srv/data:/data"]}});
    let engine = rig.fleet.engines()[0].name().to_owned();
    let pinned = node.to_string().replace("sim-1", &engine);
    run(&rig, "db", serde_json::from_str(&pinned).unwrap()).await;
    let there = json!({"Env": [format!("constraint:node=={engine}")]});
    run(&rig, "plain", there).await;
    rig.fleet.engines()[0].silence();
    rig.status(&rig.fleet.engines()[0], "Unhealthy", LONG).await;
    // A witness that may move shows that the keeper had its time.
    run(&rig, "witness", on_failure()).await;
    let from = node_of(&rig.pool, "witness").await;
    engine_named(&rig, &from).silence();
    moved(&rig, "witness", &from).await;
    assert_eq!(holders(&rig, "db"), std::slice::from_ref(&engine));
    assert_eq!(holders(&rig, "plain"), [engine]);
    assert_eq!(intent(&rig, "db").await.unwrap().generation, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_manager_knows_what_was_on_an_engine_that_it_never_met() {
    let rig = rig().await;
    run(&rig, "web", json!({})).await;
    let from = node_of(&rig.pool, "web").await;
    let gone = engine_named(&rig, &from);
    eventually("it is kept", LONG, async || {
        intent(&rig, "web").await.is_some_and(|intent| intent.desired == Desired::Running)
    })
    .await;
    gone.stop();
    // On the same store, as after a restart on any machine.
    let (second, _stop) = rig.second_on_store(quick(Policy::Off));
    eventually("the list shows it on an engine that is down", LONG, async || {
        let shown = list(&second, &[("all", "1")]).await;
        shown.iter().any(|c| c["Names"][0] == format!("/{from}/web") && c["Status"] == "Host Down")
    })
    .await;
    let error = inspect(&second, "web").await.unwrap_err();
    assert!(error.message.contains(&from), "{}", error.message);
    let taken = create(&second, "web", json!({})).await.unwrap_err();
    assert!(taken.message.contains("docker rm -f web"), "{}", taken.message);
    remove(&second, "web").await.unwrap();
    eventually("its name is free", LONG, async || create(&second, "web", json!({})).await.is_ok())
        .await;
    rig.fleet.engines().iter().find(|engine| engine.name() == from).unwrap().resume().unwrap();
    eventually("what was removed goes when its engine returns", LONG, async || {
        let copies = holders(&rig, "web");
        copies.len() == 1 && !copies.contains(&from)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_nothing_moves_and_policies_are_not_promised() {
    let rig = rig().await;
    run(&rig, "web", on_failure()).await;
    let from = node_of(&rig.pool, "web").await;
    let down = StoreError::Unreachable { store: "memory".into(), reason: "test".into() };
    rig.store.fail(Some(down));
    let refused = create(&rig.pool, "more", on_failure()).await.unwrap_err();
    assert!(refused.message.contains("reschedule:off"), "{}", refused.message);
    create(&rig.pool, "plain", json!({})).await.unwrap();
    engine_named(&rig, &from).silence();
    rig.status(engine_named(&rig, &from), "Unhealthy", LONG).await;
    // Four graces: a keeper that would act has acted.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(holders(&rig, "web"), std::slice::from_ref(&from), "no copy without the store");
    rig.store.fail(None);
    moved(&rig, "web", &from).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_does_not_keep_is_not_acknowledged() {
    let rig = rig().await;
    for name in ["stopped", "renamed", "removed"] {
        run(&rig, name, on_failure()).await;
    }
    run(&rig, "plain", json!({})).await;
    eventually("the plain one is kept", LONG, async || intent(&rig, "plain").await.is_some()).await;
    let down = StoreError::Unreachable { store: "memory".into(), reason: "test".into() };
    rig.store.fail(Some(down));
    let told = |answer: Result<(), swarm_backend::ApiError>| {
        let error = answer.unwrap_err();
        assert!(error.message.contains("has done it"), "{}", error.message);
    };
    told(act(&rig.pool, "stopped", "stop", &Value::Null).await.map(drop));
    told(rig::rename(&rig.pool, "renamed", "new").await.map(drop));
    told(remove(&rig.pool, "removed").await.map(drop));
    // A rename is undone by the next primary whatever the policy, a stop is not.
    told(rig::rename(&rig.pool, "plain", "other").await.map(drop));
    act(&rig.pool, "other", "stop", &Value::Null).await.unwrap();
    rig.store.fail(None);
    eventually("it is kept when the store answers", LONG, async || {
        intent(&rig, "new").await.is_some() && intent(&rig, "removed").await.is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_has_not_read_the_store_yet_promises_nothing() {
    let rig = rig().await;
    let down = StoreError::Unreachable { store: "memory".into(), reason: "test".into() };
    rig.store.fail(Some(down));
    let (second, _stop) = rig.second_on_store(quick(Policy::Off));
    eventually("it can place", LONG, async || create(&second, "plain", json!({})).await.is_ok())
        .await;
    let refused = create(&second, "web", on_failure()).await.unwrap_err();
    assert!(refused.message.contains("reschedule:off"), "{}", refused.message);
    rig.store.fail(None);
    eventually("it has read it", LONG, async || create(&second, "web", on_failure()).await.is_ok())
        .await;
    assert!(intent(&rig, "web").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_on_its_way_has_its_name() {
    let mut config = quick(Policy::Off);
    config.reschedule.grace = Duration::from_mins(1);
    let rig = Rig::with(FleetConfig { engines: 3, ..FleetConfig::default() }, config).await;
    let engine = &rig.fleet.engines()[0];
    // Whether it was made there, nobody knows until the engine answers or the grace is over.
    engine.silence();
    let there = json!({"Env": ["reschedule:on-node-failure",
        format!("constraint:node=={}", engine.name())]});
    create(&rig.pool, "web", there).await.unwrap_err();
    assert!(matches!(intent(&rig, "web").await.unwrap().place, Place::Going { .. }));
    let taken = create(&rig.pool, "web", json!({})).await.unwrap_err();
    assert!(taken.message.contains("not there yet"), "{}", taken.message);
    let error = inspect(&rig.pool, "web").await.unwrap_err();
    assert!(error.message.contains("is being made on"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_noted_stop_rename_and_removal() {
    let rig = rig().await;
    run(&rig, "web", on_failure()).await;
    act(&rig.pool, "web", "stop", &Value::Null).await.unwrap();
    rig::rename(&rig.pool, "web", "site").await.unwrap();
    let update = json!({"Memory": 1 << 20, "CpuShares": 0});
    act(&rig.pool, "site", "update", &update).await.unwrap();
    let kept = intent(&rig, "site").await.unwrap();
    assert_eq!(kept.desired, Desired::Stopped);
    assert_eq!(kept.config.fields()["HostConfig"]["Memory"], 1 << 20);
    assert!(matches!(kept.place, Place::At { .. }));
    let from = node_of(&rig.pool, "site").await;
    engine_named(&rig, &from).silence();
    eventually("it moved, and was not started", LONG, async || {
        holders(&rig, "site").iter().any(|at| *at != from)
    })
    .await;
    let to = holders(&rig, "site").into_iter().find(|at| *at != from).unwrap();
    assert!(!is_up(engine_named(&rig, &to), "site").await);
    eventually("it can be removed", LONG, async || remove(&rig.pool, "site").await.is_ok()).await;
    eventually("nothing is wanted any more", LONG, async || intent(&rig, "site").await.is_none())
        .await;
}

/// Ten minutes are long enough for every engine that was at a request.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_is_forgotten_when_every_engine_was_looked_at() {
    let rig = rig().await;
    run(&rig, "web", json!({})).await;
    let hour = 3_600_000;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let put = async |id: &str, ago: u128| {
        let removed = Removed {
            format: FORMAT,
            id: id.to_owned(),
            name: id.to_owned(),
            engine: EngineRef { id: "e".into(), name: "e".into() },
            at: i64::try_from((now.as_millis() - ago) / 1_000).unwrap(),
        };
        let key = format!("docker/swarm/removed/{id}");
        rig.store.put(Write::new(&*key, removed.to_json())).await.unwrap();
    };
    put("old", hour).await;
    put("new", 1_000).await;
    let left = async || {
        let items = rig.store.list("docker/swarm/removed").await.unwrap();
        items.iter().map(|item| item.key.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let away = &rig.fleet.engines()[0];
    away.stop();
    rig.status(away, "Unhealthy", LONG).await;
    let (_second, _stop) = rig.second_on_store(quick(Policy::Off));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(left().await, ["new", "old"], "an engine that is away may have a copy");
    away.resume().unwrap();
    eventually("the old one is forgotten", LONG, async || left().await == ["new"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_made_too_late_is_removed_by_whoever_leads_then() {
    let rig = rig().await;
    let name = rig.fleet.engines()[0].name().to_owned();
    engine_named(&rig, &name).silence();
    let there = json!({"Env": [format!("constraint:node=={name}")]});
    let failed = create(&rig.pool, "web", there).await.unwrap_err();
    assert!(failed.message.contains(&name), "{}", failed.message);
    let mut id = String::new();
    eventually("it is kept that it may come", LONG, async || {
        let kept = rig.store.list("docker/swarm/removed").await.unwrap();
        let kept = kept.first().map(|item| Removed::parse(&item.value).unwrap());
        kept.is_some_and(|removed| {
            id = removed.id;
            removed.name == "web"
        })
    })
    .await;
    create(&rig.pool, "web", json!({})).await.unwrap();
    let store = std::sync::Arc::clone(&rig.store);
    let (fleet, named) = rig.end();
    let late = std::sync::Arc::clone(&fleet.engines()[0]);
    late.restore();
    let body = json!({"Image": "busybox", "Labels": {"com.docker.swarm.id": id}});
    direct(&late, Method::POST, "/containers/create?name=web", &body).await.unwrap();
    let rig = Rig::on(fleet, named, store, quick(Policy::Off));
    eventually("one of the two is left", LONG, async || holders(&rig, "web").len() == 1).await;
    assert_ne!(holders(&rig, "web"), [name], "the one that was acknowledged");
}
