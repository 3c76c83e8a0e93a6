//! The swarm's events, alone and among an engine's.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::StreamBody;
use swarm_backend::{Body, BoxError};
use swarm_docker::event::EventQuery;
use swarm_model::service::ServiceMode;
use swarm_model::{Service, ServiceSpec};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;

/// An engine's stream of events, written by hand.
fn engine() -> (mpsc::UnboundedSender<&'static str>, Reply) {
    let (sender, receiver) = mpsc::unbounded_channel::<&'static str>();
    let frames = stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        let frame: std::result::Result<_, BoxError> = Ok(Frame::data(Bytes::from(piece)));
        Some((frame, receiver))
    });
    let body = StreamBody::new(frames).boxed_unsync();
    (sender, Reply::streaming_json(StatusCode::OK, body))
}

fn query(text: &str) -> EventQuery {
    EventQuery::parse(&Query::parse(text), jiff::Timestamp::now()).unwrap()
}

/// The next piece: `TYPE ACTION NAME`, a line each.
async fn next(body: &mut Body) -> Vec<String> {
    let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await.unwrap();
    let bytes = frame.unwrap().unwrap().into_data().unwrap();
    let words = |line: &[u8]| {
        let event: Value = serde_json::from_slice(line).unwrap();
        let name = &event["Actor"]["Attributes"]["name"];
        [&event["Type"], &event["Action"], name].map(|word| word.as_str().unwrap()).join(" ")
    };
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(words).collect()
}

fn service(name: &str, replicas: u64) -> Service {
    let now = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
    let mode = ServiceMode::replicated(replicas);
    Service {
        id: name.into(),
        created_at: Time(now),
        updated_at: Time(now),
        spec: ServiceSpec { name: name.to_owned(), mode, ..ServiceSpec::default() },
        ..Service::default()
    }
}

/// A manager that tells its events.
async fn telling() -> (Rig, CancellationToken) {
    let rig = Rig::begun().await;
    let stop = CancellationToken::new();
    tokio::spawn(Arc::clone(&rig.replica).run(stop.clone()));
    tokio::spawn(Arc::clone(&rig.control).follow_events(stop.clone()));
    // So that what comes next is news to it.
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    (rig, stop)
}

#[tokio::test]
async fn they_stand_between_the_lines_of_an_engine() {
    let (rig, _stop) = telling().await;
    let (engine, reply) = engine();
    let mut body = rig.control.with_events(query(""), reply).body;
    engine.send("{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"Attri").unwrap();
    rig.put(&service("web", 1)).await;
    assert_eq!(next(&mut body).await, ["service create web"]);
    engine.send("butes\":{\"name\":\"c1\"}}}\n{\"Type\":\"volume\",").unwrap();
    assert_eq!(next(&mut body).await, ["container start c1"]);
    let mut scaled = rig.replica.read(|tables| Service::clone(&tables.services["web"]));
    scaled.spec.mode = ServiceMode::replicated(3);
    rig.put(&scaled).await;
    assert_eq!(next(&mut body).await, ["service update web"]);
    drop(engine);
    assert!(body.frame().await.is_none(), "half a line is no event");
}

#[tokio::test]
async fn the_past_is_told_to_those_who_ask_and_filters_count() {
    let (rig, _stop) = telling().await;
    let (first, reply) = engine();
    let mut body = rig.control.with_events(query(""), reply).body;
    for name in ["web", "db"] {
        rig.put(&service(name, 1)).await;
        assert_eq!(next(&mut body).await, [format!("service create {name}")]);
    }
    drop(first);
    let (engine_, reply) = engine();
    let mut body = rig.control.with_events(query("since=1m"), reply).body;
    // An engine's later line is behind what happened before it.
    engine_
        .send("{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"Attributes\":{\"name\":\"c\"}},\"timeNano\":9000000000000000000}\n")
        .unwrap();
    assert_eq!(
        next(&mut body).await,
        ["service create web", "service create db", "container die c"]
    );
    for (query_, told) in [
        ("since=1m&filters={\"service\":[\"db\"]}", "service create db"),
        ("since=1m&filters={\"type\":[\"service\"],\"service\":[\"web\"]}", "service create web"),
    ] {
        let (_engine, reply) = engine();
        let mut body = rig.control.with_events(query(query_), reply).body;
        assert_eq!(next(&mut body).await, [told], "{query_}");
    }
    // Without `since` only what comes.
    let (_engine, reply) = engine();
    let mut body = rig.control.with_events(query("filters={\"scope\":[\"swarm\"]}"), reply).body;
    rig.put(&service("late", 1)).await;
    assert_eq!(next(&mut body).await, ["service create late"]);
}

#[tokio::test]
async fn an_engine_s_refusal_stays_as_it_is() {
    let rig = Rig::begun().await;
    let mut refusal = Reply::ok(&json!({ "message": "no" })).unwrap();
    refusal.status = StatusCode::BAD_REQUEST;
    let reply = rig.control.with_events(query(""), refusal);
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(reply.body.collect().await.unwrap().to_bytes(), "{\"message\":\"no\"}");
}
