//! `GET /events` over a fleet: every event once, in each engine's order, whatever breaks between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use rig::{Events, LONG, Named, Rig, act, config, create, direct, eventually, list};
use serde_json::{Value, json};
use swarm_testkit::fleet::{Engine, Fleet, FleetConfig};

/// Longer than an event takes from any engine to a client.
const QUIET: Duration = Duration::from_millis(400);

/// One container on each of `engines`, to have something that makes events.
fn seeded(engines: usize) -> FleetConfig {
    FleetConfig { engines, containers_per_engine: 1, ..FleetConfig::default() }
}

/// The number of a synthetic event.
fn number(event: &Value) -> usize {
    let id = event["Actor"]["Attributes"]["execID"].as_str().unwrap();
    usize::from_str_radix(id, 16).unwrap()
}

/// The numbers of synthetic events by node, in the order they came.
fn by_node(events: &[Value]) -> BTreeMap<String, Vec<usize>> {
    let mut nodes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for event in events {
        let node = event["Actor"]["Attributes"]["node.name"].as_str().unwrap();
        nodes.entry(node.to_owned()).or_default().push(number(event));
    }
    nodes
}

async fn followed(engine: &Engine) {
    eventually("its events are followed", LONG, async || engine.event_streams() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_comes_once_and_in_order_though_the_streams_break() {
    let rig = Rig::with(seeded(3), config()).await;
    let mut events = Events::open(&rig.pool, &[]).await;
    let mut sent = 0;
    for round in 0..6 {
        for engine in rig.fleet.engines() {
            (sent..sent + 20).for_each(|number| engine.emit_synthetic(number));
        }
        sent += 20;
        let broken = rig.fleet.engine(round % 3);
        // Away for a moment: more happens than was read, and nobody can look.
        broken.refuse();
        broken.cut_events();
        broken.close_connections();
        eventually("the stream is down", LONG, async || broken.event_streams() == 0).await;
        (sent..sent + 100).for_each(|number| broken.emit_synthetic(number));
        broken.resume().unwrap();
        for engine in rig.fleet.engines() {
            if engine.name() != broken.name() {
                (sent..sent + 100).for_each(|number| engine.emit_synthetic(number));
            }
        }
        sent += 100;
        followed(broken).await;
    }
    let got = events.take(3 * sent).await;
    let expected: Vec<usize> = (0..sent).collect();
    let nodes = by_node(&got);
    assert_eq!(nodes.len(), 3);
    for (node, numbers) in nodes {
        assert_eq!(numbers, expected, "{node}");
    }
    assert_eq!(events.rest(QUIET).await, Vec::<Value>::new(), "nothing comes twice");
    let attributes = &got[0]["Actor"]["Attributes"];
    for key in ["node.name", "node.id", "node.ip", "node.addr"] {
        assert!(attributes[key].as_str().is_some_and(|value| !value.is_empty()), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_before_the_pool_is_not_told_when_a_stream_breaks() {
    let fleet = Fleet::start(seeded(1)).await.unwrap();
    (0..50).for_each(|number| fleet.engine(0).emit_synthetic(number));
    let named = Named::of(fleet.engines());
    let rig = Rig::over(fleet, named, config());
    rig.all_healthy(LONG).await;
    let engine = rig.fleet.engine(0);
    let mut events = Events::open(&rig.pool, &[]).await;
    engine.cut_events();
    eventually("it is followed again", LONG, async || {
        engine.requests().get("GET /events").copied().unwrap_or_default() > 1
            && engine.event_streams() == 1
    })
    .await;
    engine.emit_synthetic(1_000);
    let got = events.rest(QUIET).await;
    assert_eq!(got.iter().map(number).collect::<Vec<_>>(), [1_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_filled_whatever_the_engines_clock_shows() {
    for skew in [-90_000, 90_000] {
        let fleet = Fleet::start(seeded(1)).await.unwrap();
        fleet.engine(0).skew(skew);
        let named = Named::of(fleet.engines());
        let rig = Rig::over(fleet, named, config());
        rig.all_healthy(LONG).await;
        let engine = rig.fleet.engine(0);
        let mut events = Events::open(&rig.pool, &[]).await;
        engine.refuse();
        engine.cut_events();
        engine.close_connections();
        eventually("the stream is down", LONG, async || engine.event_streams() == 0).await;
        (0..20).for_each(|number| engine.emit_synthetic(number));
        engine.resume().unwrap();
        let got = events.take(20).await;
        assert_eq!(got.iter().map(number).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
        assert_eq!(events.rest(QUIET).await.len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_events_in_a_burst_all_arrive() {
    let rig = Rig::with(seeded(20), config()).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(Events::open(&rig.pool, &[]).await);
    }
    rig.fleet.emit_events(0..20_000, 20_000).await;
    for events in &mut clients {
        let got = events.take(20_000).await;
        let nodes = by_node(&got);
        assert_eq!(nodes.len(), 20);
        for numbers in nodes.values() {
            assert_eq!(numbers.len(), 1_000);
            assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "out of order");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_comes_whole_and_in_order_of_time_and_the_present_after_it() {
    let rig = Rig::with(seeded(4), config()).await;
    let before = rig.fleet.engine(0).now() / 1_000_000_000 - 1;
    for number in 0..400 {
        rig.fleet.engine(number % 4).emit_synthetic(number);
    }
    let until = before + 2;
    let since = before.to_string();
    let mut events = Events::open(&rig.pool, &[("since", &since)]).await;
    let past = events.take(400).await;
    assert_eq!(past.iter().map(number).collect::<Vec<_>>(), (0..400).collect::<Vec<_>>());
    rig.fleet.engine(2).emit_synthetic(400);
    assert_eq!(number(&events.next().await.unwrap()), 400);
    assert_eq!(events.rest(QUIET).await.len(), 0);

    // Of all that is past only the last one is wanted, and nothing comes after it.
    create(&rig.pool, "web", json!({})).await.unwrap();
    let web = r#"{"container":["web"]}"#;
    let mut events = Events::open(&rig.pool, &[("since", &since), ("filters", web)]).await;
    assert_eq!(events.next().await.unwrap()["Action"], "create");

    // An end that is not far makes a stream that ends by itself.
    let until = until.to_string();
    let asked = [("since", since.as_str()), ("until", until.as_str())];
    let mut events = Events::open(&rig.pool, &asked).await;
    let mut count = 0;
    while let Some(event) = events.next().await {
        assert!(rig::nanos(&event) <= (before + 2) * 1_000_000_000);
        count += 1;
    }
    assert!(count >= 400, "{count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_end_ends_the_stream_at_once_with_what_is_before_it() {
    let rig = Rig::with(seeded(4), config()).await;
    for number in 0..900 {
        rig.fleet.engine(number % 4).emit_synthetic(number);
    }
    create(&rig.pool, "web", json!({})).await.unwrap();
    // Until now: a second is over before the stream is opened.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let now = rig.fleet.engine(0).now() / 1_000_000_000;
    let (since, until) = ((now - 60).to_string(), now.to_string());
    let web = r#"{"container":["web"]}"#;
    let asked = [("since", since.as_str()), ("until", &until), ("filters", web)];
    let mut events = Events::open(&rig.pool, &asked).await;
    assert_eq!(events.next().await.unwrap()["Action"], "create");
    assert!(events.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_made_in_a_gap_is_listed_and_told() {
    let rig = Rig::with(FleetConfig { engines: 2, ..FleetConfig::default() }, config()).await;
    let mut events = Events::open(&rig.pool, &[("filters", r#"{"event":["create"]}"#)]).await;
    let engine = rig.fleet.engine(1);
    engine.cut_events();
    let path = "/containers/create?name=made-in-the-gap";
    direct(engine, Method::POST, path, &rig::body(json!({}))).await.unwrap();
    let event = events.next().await.unwrap();
    assert_eq!(event["Actor"]["Attributes"]["name"], "made-in-the-gap");
    assert_eq!(event["Actor"]["Attributes"]["node.name"], "engine-0001");
    eventually("it is listed", LONG, async || list(&rig.pool, &[("all", "1")]).await.len() == 1)
        .await;
    act(&rig.pool, "made-in-the-gap", "start", &Value::Null).await.unwrap();
}
