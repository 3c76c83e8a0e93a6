//! The endpoint that is one node's engine with swarm mode built in: what is the swarm's, and what
//! goes to the engine as it came.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake;

use std::time::Duration;

use bytes::Bytes;
use fake::{Fake, UPGRADE, read_head, request, run_node, upgrading};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use swarm_backend::{BoxError, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_swarm_s_requests_reach_their_ports() {
    let server = run_node(Fake::describing()).await;
    let json = ["Content-Type: application/json"];
    for (line, call, name) in [
        ("GET /v1.41/services?status=true", "list_services", ""),
        ("POST /services/create", "create_service", ""),
        ("GET /services/web", "inspect_service", "web"),
        ("POST /services/web/update?version=7", "update_service", "web"),
        ("DELETE /services/web", "remove_service", "web"),
        ("GET /services/web/logs?follow=1", "service_logs", "web"),
        ("GET /tasks", "list_tasks", ""),
        ("GET /tasks/t1", "inspect_task", "t1"),
        ("GET /tasks/t1/logs", "task_logs", "t1"),
        ("GET /swarm", "inspect_swarm", ""),
        ("POST /swarm/init", "init_swarm", ""),
        ("POST /swarm/leave?force=1", "leave_swarm", ""),
        ("GET /swarm/unlockkey", "unlock_key", ""),
        ("GET /nodes", "list_nodes", ""),
        ("POST /nodes/n1/update?version=1", "update_node", "n1"),
        ("DELETE /nodes/n1", "remove_node", "n1"),
        ("POST /secrets/create", "create_secret", ""),
        ("DELETE /secrets/key", "remove_secret", "key"),
        ("GET /configs/cfg", "inspect_config", "cfg"),
        ("GET /networks", "list_networks", ""),
        ("POST /networks/create", "create_network", ""),
        ("GET /networks/demo_default?scope=swarm", "inspect_network", "demo_default"),
        ("DELETE /networks/demo_default", "remove_network", "demo_default"),
        ("GET /info", "node_info", ""),
        ("GET /events", "node_events", ""),
    ] {
        let body: &[u8] = if line.starts_with("POST") { b"{}" } else { b"" };
        let answer = server.ask(line, &json, body).await;
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
        let told = answer.json();
        assert_eq!((&told["call"], &told["name"]), (&call.into(), &name.into()), "{line}");
    }
}

#[tokio::test]
async fn everything_else_goes_to_the_engine_as_it_came() {
    let server = run_node(Fake::describing()).await;
    for (line, path) in [
        ("GET /v1.41/containers/json?all=1", "/containers/json"),
        ("POST /containers/web/start", "/containers/web/start"),
        ("POST /networks/demo/connect", "/networks/demo/connect"),
        ("POST /networks/prune", "/networks/prune"),
        ("GET /distribution/library/redis:7/json", "/distribution/library/redis:7/json"),
        ("PUT /containers/web/archive?path=/a", "/containers/web/archive"),
        ("GET /images/reg:5000/a/b/json", "/images/reg:5000/a/b/json"),
        ("POST /what/only/a/newer/engine/knows", "/what/only/a/newer/engine/knows"),
    ] {
        let told = server.ask(line, &[], b"").await.json();
        assert_eq!((&told["call"], &told["path"]), (&"pass".into(), &path.into()), "{line}");
        let query = line.split_once('?').map_or("", |(_, query)| query);
        assert_eq!(told["query"].as_str().unwrap().replace("%2F", "/"), query);
    }
    // A volume is the engine's, but for one that it would not know.
    let plain = server.ask("POST /volumes/create", &[], br#"{"Name":"data"}"#).await.json();
    assert_eq!((&plain["call"], &plain["path"]), (&"pass".into(), &"/volumes/create".into()));
    let body = br#"{"Name":"disk","ClusterVolumeSpec":{}}"#;
    for (line, body) in
        [("POST /volumes/create", &body[..]), ("PUT /volumes/disk?version=3", b"{}")]
    {
        let refused = server.ask(line, &[], body).await;
        assert_eq!(refused.status, 501, "{line}");
        let words = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(
            words.starts_with("volume disk: cluster volumes (CSI) are not there yet"),
            "{words}"
        );
    }
    let ping = server.get("/_ping").await;
    assert_eq!(
        (ping.json()["call"].clone(), ping.header("swarm")),
        ("pass".into(), "active/worker")
    );
    let old = server.get("/v1.23/services").await;
    assert_eq!(old.status, 400);
    assert!(old.message().starts_with("client version 1.23 is too old."), "{old:?}");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_before_the_swarm_sees_it() {
    let server = run_node(Fake::describing()).await;
    let answer = server.ask("POST /services/create", &["Content-Type: text/plain"], b"{}").await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[tokio::test]
async fn attach_exec_and_build_sessions_leave_http_and_reach_the_engine() {
    let (fake, mut engines) = upgrading();
    let server = run_node(fake).await;
    for (line, protocol, body) in [
        ("POST /v1.41/containers/web/attach?stream=1&stdin=1", "tcp", &b""[..]),
        ("POST /exec/e1/start", "tcp", b"{\"Tty\":true}"),
        ("POST /session", "h2c", b""),
        ("POST /grpc", "h2c", b""),
    ] {
        let upgrade = format!("Upgrade: {protocol}");
        let headers = [UPGRADE[0], &upgrade, "Content-Type: application/json"];
        let mut client = server.connect().await;
        client.write_all(&request(line, &headers, body)).await.unwrap();
        let head = read_head(&mut client).await;
        assert_eq!((head.status.as_u16(), head.header("upgrade")), (101, protocol), "{line}");
        let (mut engine, asked, sent) = engines.recv().await.unwrap();
        assert_eq!((asked.as_deref(), sent), (Some(protocol), body.len()), "{line}");
        client.write_all(b"input").await.unwrap();
        client.shutdown().await.unwrap();
        let mut got = String::new();
        timeout(PATIENCE, engine.read_to_string(&mut got)).await.unwrap().unwrap();
        assert_eq!(got, "input");
        engine.write_all(b"output after the end of input").await.unwrap();
        engine.shutdown().await.unwrap();
        let mut got = String::new();
        timeout(PATIENCE, client.read_to_string(&mut got)).await.unwrap().unwrap();
        assert_eq!(got, "output after the end of input");
    }
}

#[tokio::test]
async fn events_are_passed_on_while_they_happen() {
    let (events, happened) = tokio::sync::mpsc::channel::<&'static str>(1);
    let happened = std::sync::Mutex::new(Some(happened));
    let fake = Fake::acting(move |call, _, _| {
        assert_eq!(call, "node_events");
        let happened = happened.lock().unwrap().take().unwrap();
        let lines = stream::unfold(happened, |mut happened| async {
            let line = happened.recv().await?;
            Some((Ok::<_, BoxError>(Frame::data(Bytes::from(line))), happened))
        });
        let body = StreamBody::new(lines.boxed()).boxed_unsync();
        let headers = HeaderMap::new();
        async { Ok(Reply { status: StatusCode::OK, headers, body, upgraded: None }) }
    });
    let server = run_node(fake).await;
    let mut client = server.connect().await;
    client.write_all(&request("GET /events", &[], b"")).await.unwrap();
    for line in ["{\"Action\":\"start\"}\n", "{\"Action\":\"die\"}\n"] {
        events.send(line).await.unwrap();
        let mut got = String::new();
        while !got.contains(line) {
            let mut part = [0; 512];
            let read = timeout(PATIENCE, client.read(&mut part)).await.unwrap().unwrap();
            assert!(read > 0, "{got}");
            got.push_str(&String::from_utf8_lossy(&part[..read]));
        }
    }
}
