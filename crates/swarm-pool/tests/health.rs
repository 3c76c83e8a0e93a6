//! Engines that fail, and a pool that goes on with the others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::time::Duration;

use http::StatusCode;
use rig::{
    LONG, Named, Rig, act, config, create, eventually, info, inspect, list, names, row, within,
};
use serde_json::json;
use swarm_testkit::fleet::{Fault, Fleet, FleetConfig};
use tokio::time::Instant;

/// For what waits for no sick engine: who waits does so for as long as it takes to notice.
const PROMPT: Duration = Duration::from_millis(500);
/// A silent engine is noticed 4.4 s later at most by its watcher's own clock, and one that is back 1.8 s later.
const NOTICED: Duration = Duration::from_secs(5);
const RETURNED: Duration = Duration::from_secs(2);
/// Two probes that are not answered, 0.8 s each, take no engine down.
const HASTY: Duration = Duration::from_millis(1_700);

/// `containers` on each of `engines`.
fn filled(engines: usize, containers_per_engine: usize) -> FleetConfig {
    FleetConfig { engines, containers_per_engine, ..FleetConfig::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_engine_is_noticed_and_hinders_nobody() {
    let rig = Rig::with(filled(3, 2), config()).await;
    let silent = rig.fleet.engine(1);
    let theirs = silent.container_names();
    let before = names(&rig.pool).await;
    silent.silence();
    let start = Instant::now();
    let mut made = 0;
    // As long as it is not known to be silent, everything that does not need it goes on.
    while rig.row(silent, "Status").await.as_deref() == Some("Healthy") {
        let took = start.elapsed();
        assert!(took < NOTICED, "silence went unnoticed for {took:?}");
        within("a list", PROMPT, list(&rig.pool, &[("all", "1")])).await;
        let name = format!("meanwhile-{made}");
        let pinned = json!({"Env": [format!("constraint:node=={}", rig.fleet.engine(0).name())]});
        within("a create", PROMPT, create(&rig.pool, &name, pinned)).await.unwrap();
        within("an inspect", PROMPT, inspect(&rig.pool, &name)).await.unwrap();
        within("info", PROMPT, info(&rig.pool)).await;
        made += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = start.elapsed();
    assert!(
        made > 0 && took > HASTY,
        "it was taken down after {took:?} and {made} rounds: too hasty"
    );
    rig.status(silent, "Unhealthy", LONG).await;

    let listed = list(&rig.pool, &[("all", "1")]).await;
    let down: Vec<_> =
        listed.iter().filter(|entry| entry["Status"] == "Host Down").map(|e| &e["Id"]).collect();
    assert_eq!(down.len(), theirs.len(), "its containers stay, and are shown as what they are");
    assert_eq!(listed.len(), before.len() + made);

    let error = within("a refusal", PROMPT, inspect(&rig.pool, &theirs[0])).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
    let address = silent.address().to_string();
    for word in [silent.name(), address.as_str(), "unhealthy", "within"] {
        assert!(error.message.contains(word), "{word:?} is missing: {}", error.message);
    }
    let error = within("a refusal", PROMPT, act(&rig.pool, &theirs[0], "stop", &json!(null)));
    assert_eq!(error.await.unwrap_err().status(), StatusCode::SERVICE_UNAVAILABLE);

    silent.restore();
    rig.status(silent, "Healthy", RETURNED).await;
    inspect(&rig.pool, &theirs[0]).await.unwrap();
    let listed = list(&rig.pool, &[("all", "1")]).await;
    assert!(listed.iter().all(|entry| entry["Status"] != "Host Down"));
    assert_eq!(rig.row(silent, "Error").await.as_deref(), Some("(none)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_goes_silent_as_its_event_stream_breaks_is_noticed_as_fast() {
    let rig = Rig::of(2).await;
    let silent = rig.fleet.engine(1);
    silent.silence();
    silent.cut_events();
    rig.status(silent, "Unhealthy", NOTICED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_does_not_wait_for_a_write_that_a_silent_engine_never_shows() {
    let rig = Rig::of(2).await;
    create(&rig.pool, "web", json!({})).await.unwrap();
    let at = rig::node_of(&rig.pool, "web").await;
    let engine = rig.fleet.engines().iter().find(|engine| engine.name() == at).unwrap();
    // The engine answers the start, and is silent before it can be read back.
    engine.delay(Duration::from_millis(300));
    act(&rig.pool, "web", "start", &json!(null)).await.unwrap();
    engine.silence();
    // The first reader waits a bounded time for the write; nobody pays twice.
    within("the first list", Duration::from_secs(3), list(&rig.pool, &[])).await;
    for _ in 0..5 {
        within("a later list", PROMPT, list(&rig.pool, &[])).await;
    }
    within("a miss", PROMPT, inspect(&rig.pool, "nobody")).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_refuses_connections_is_down_with_its_error_until_it_is_back() {
    let rig = Rig::of(2).await;
    let stopped = rig.fleet.engine(0);
    stopped.stop();
    rig.status(stopped, "Unhealthy", NOTICED).await;
    eventually("the refusal is shown", LONG, async || {
        rig.row(stopped, "Error").await.unwrap().contains("refused")
    })
    .await;
    for number in 0..4 {
        create(&rig.pool, &format!("c{number}"), json!({})).await.unwrap();
    }
    assert_eq!(rig.fleet.engine(1).containers().0, 4);
    stopped.resume().unwrap();
    rig.status(stopped, "Healthy", RETURNED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_nonsense_takes_only_its_engine_down_and_is_shown() {
    let rig = Rig::of(5).await;
    let nonsense = [
        // Of a refused ping only the status is read.
        (Fault::Error, "500"),
        (Fault::Garbage, ""),
        (Fault::NotHttp, "not one of a Docker engine"),
    ];
    for (number, (fault, _)) in nonsense.iter().enumerate() {
        let engine = rig.fleet.engine(number);
        engine.fault(*fault);
        engine.close_connections();
    }
    for (number, (fault, words)) in nonsense.iter().enumerate() {
        let engine = rig.fleet.engine(number);
        if *fault == Fault::Garbage {
            // It still answers pings: only a reading shows what it is worth.
            continue;
        }
        rig.status(engine, "Unhealthy", NOTICED).await;
        eventually(&format!("{fault:?} is shown"), LONG, async || {
            rig.row(engine, "Error").await.is_some_and(|error| error.contains(words))
        })
        .await;
    }
    create(&rig.pool, "web", json!({"Env": ["constraint:node==engine-0003"]})).await.unwrap();
    for number in 0..nonsense.len() {
        rig.fleet.engine(number).restore();
    }
    rig.all_healthy(NOTICED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_starts_with_nonsense_stays_pending_with_its_error() {
    for (fault, words) in [
        (Fault::Error, "500"),
        (Fault::Garbage, "/version"),
        (Fault::NotHttp, "not one of a Docker engine"),
        (Fault::Silent, "within"),
    ] {
        let fleet = Fleet::start(filled(1, 1)).await.unwrap();
        fleet.engine(0).fault(fault);
        let named = Named::of(fleet.engines());
        let rig = Rig::over(fleet, named, config());
        let engine = rig.fleet.engine(0);
        eventually(&format!("{fault:?} is shown"), LONG, async || {
            rig.row(engine, "Error").await.is_some_and(|error| error.contains(words))
        })
        .await;
        assert_eq!(rig.row(engine, "Status").await.as_deref(), Some("Pending"), "{fault:?}");
        assert!(list(&rig.pool, &[("all", "1")]).await.is_empty());
        engine.restore();
        rig.status(engine, "Healthy", Duration::from_secs(3)).await;
        assert_eq!(list(&rig.pool, &[("all", "1")]).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_told() {
    let fleet = Fleet::start(filled(3, 0)).await.unwrap();
    fleet.engine(0).skew(90_000);
    fleet.engine(1).skew(-3_600_000);
    let named = Named::of(fleet.engines());
    let rig = Rig::over(fleet, named, config());
    rig.all_healthy(LONG).await;
    let info = info(&rig.pool).await;
    let clock =
        |number: usize| row(&info, &rig.fleet.engine(number).address().to_string(), "Clock");
    assert!(clock(0).unwrap().ends_with("s ahead of the manager's"), "{:?}", clock(0));
    assert!(clock(1).unwrap().ends_with("s behind the manager's"), "{:?}", clock(1));
    assert_eq!(clock(2), None);
    let warnings = info["Warnings"].to_string();
    assert!(warnings.contains("engine-0000") && warnings.contains("engine-0001"), "{warnings}");
    assert!(!warnings.contains("engine-0002"), "{warnings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_that_cannot_be_inspected_leave_their_engine_in_use() {
    let fleet = Fleet::start(filled(2, 3)).await.unwrap();
    fleet.engine(0).fault(Fault::Inspect);
    let named = Named::of(fleet.engines());
    let rig = Rig::over(fleet, named, config());
    rig.all_healthy(LONG).await;
    assert_eq!(list(&rig.pool, &[("all", "1")]).await.len(), 6, "they are listed as they were");
    let pinned = json!({"Env": [format!("constraint:node=={}", rig.fleet.engine(0).name())]});
    create(&rig.pool, "beside-them", pinned).await.unwrap();
    assert_eq!(list(&rig.pool, &[("all", "1")]).await.len(), 7);
}
