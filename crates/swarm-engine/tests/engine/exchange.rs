//! Requests and replies: reuse, staleness, versions, idle connections.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use swarm_docker::ApiVersion;
use swarm_engine::{ClientOptions, EngineClient, EngineError, Outgoing};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex, Notify, mpsc};

use crate::script::{LONG, Script, closed, head, ok, say};

#[tokio::test]
async fn one_connection_serves_requests_in_a_row() {
    let script = Script::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    let client = script.client();
    for _ in 0..20 {
        let value: serde_json::Value = client.get_json("/info", LONG).await.unwrap();
        assert_eq!(value, serde_json::json!({}));
    }
    assert_eq!(script.connections(), 1);
}

#[tokio::test]
async fn a_reply_without_a_body_gives_its_connection_back_at_once() {
    let script = Script::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let client = script.client();
    let mut kept = Vec::new();
    for _ in 0..5 {
        let request = Outgoing { method: Method::POST, ..Outgoing::get("/containers/x/start") };
        kept.push(client.send(request, Some(LONG)).await.unwrap());
    }
    assert_eq!(script.connections(), 1);
}

#[tokio::test]
async fn at_most_max_idle_connections_are_kept() {
    let script = Script::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    let client = script.client();
    let all = (0..8).map(|_| client.get_bytes("/x", 10, LONG));
    for result in futures_util::future::join_all(all).await {
        result.unwrap();
    }
    let made = script.connections();
    let two = futures_util::future::join_all((0..2).map(|_| client.get_bytes("/x", 10, LONG)));
    two.await;
    assert_eq!(script.connections(), made, "two of them are reused");
    futures_util::future::join_all((0..3).map(|_| client.get_bytes("/x", 10, LONG))).await;
    assert_eq!(script.connections(), made + 1, "a third was not kept");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let gone = Arc::new(Notify::new());
    let told = Arc::clone(&gone);
    let script = Script::new(move |mut stream, _| {
        let told = Arc::clone(&told);
        async move {
            head(&mut stream).await.unwrap();
            say(&mut stream, &ok("{}")).await;
            closed(&mut stream).await;
            told.notify_one();
        }
    })
    .await;
    let idle_timeout = Duration::from_millis(50);
    let client = script.client_with(ClientOptions { idle_timeout, ..ClientOptions::default() });
    client.get_bytes("/x", 10, LONG).await.unwrap();
    tokio::time::timeout(LONG, gone.notified()).await.expect("the sweeper closes it");
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced() {
    let script = Script::new(|mut stream, _| async move {
        head(&mut stream).await;
        say(&mut stream, &ok("{}")).await;
    })
    .await;
    let client = script.client();
    for _ in 0..5 {
        client.get_bytes("/x", 10, LONG).await.unwrap();
    }
    assert_eq!(script.connections(), 5);
}

/// Answers the first request of a connection, and does `second` at the next, on connection 0 only.
async fn sour_on_second(second: &'static str) -> Script {
    Script::new(move |mut stream, number| async move {
        let mut answered = 0;
        while head(&mut stream).await.is_some() {
            if number == 0 && answered == 1 {
                say(&mut stream, second).await;
                return;
            }
            say(&mut stream, &ok("{}")).await;
            answered += 1;
        }
    })
    .await
}

#[tokio::test]
async fn a_request_lost_on_a_stale_connection_is_asked_anew() {
    let script = sour_on_second("").await;
    let client = script.client();
    client.get_bytes("/x", 10, LONG).await.unwrap();
    client.get_bytes("/x", 10, LONG).await.unwrap();
    assert_eq!(script.connections(), 2);
}

#[tokio::test]
async fn a_request_that_was_answered_in_part_is_not() {
    let script = sour_on_second("HTTP/1.1 20").await;
    let client = script.client();
    client.get_bytes("/x", 10, LONG).await.unwrap();
    let error = client.get_bytes("/x", 10, LONG).await.unwrap_err();
    assert!(matches!(error, EngineError::Http(_)), "{error:?}");
    assert_eq!(script.connections(), 1);
}

#[tokio::test]
async fn nor_is_one_whose_body_was_taken() {
    let script = sour_on_second("").await;
    let client = script.client();
    client.get_bytes("/x", 10, LONG).await.unwrap();
    let body = swarm_backend::full("{}");
    let request = Outgoing { method: Method::POST, body, ..Outgoing::get("/containers/create") };
    let error = client.send(request, Some(LONG)).await.unwrap_err();
    assert!(error.is_connection(), "{error:?}");
    assert_eq!(script.connections(), 1);
}

#[tokio::test]
async fn a_fresh_connection_that_closes_is_an_error_not_a_loop() {
    let script = Script::new(|mut stream, _| async move {
        head(&mut stream).await;
    })
    .await;
    let error = script.client().get_bytes("/x", 10, LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "the engine closed the connection without an answer");
    assert_eq!(script.connections(), 1);
}

#[tokio::test]
async fn the_version_is_negotiated_and_the_clients_is_clamped() {
    let (seen, mut lines) = mpsc::unbounded_channel();
    let script = Script::new(move |mut stream, _| {
        let seen = seen.clone();
        async move {
            while let Some(head) = head(&mut stream).await {
                seen.send(head.lines().next().unwrap().to_owned()).unwrap();
                let body = r#"{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.30"}"#;
                say(&mut stream, &ok(body)).await;
            }
        }
    })
    .await;
    let client = script.client();
    assert_eq!(client.versions(), None);
    client.get_bytes("/info", 1000, LONG).await.unwrap();
    let found = client.negotiate(LONG).await.unwrap();
    assert_eq!((found.oldest.minor, found.newest.minor), (30, 41));
    assert_eq!(found.server, "20.10.24");
    assert_eq!(client.clone().versions(), Some(found));
    for asked in [None, Some(24), Some(35), Some(52)] {
        let version = asked.map(|minor| ApiVersion::new(1, minor));
        let request = Outgoing { version, ..Outgoing::get("/info") };
        let reply = client.send(request, Some(LONG)).await.unwrap();
        swarm_engine::read_body(reply.body, 1000).await.unwrap();
    }
    client.negotiate(LONG).await.unwrap();
    for expected in [
        "/info",
        "/version",
        "/v1.41/info",
        "/v1.30/info",
        "/v1.35/info",
        "/v1.41/info",
        "/version",
    ] {
        assert_eq!(lines.recv().await.unwrap(), format!("GET {expected} HTTP/1.1"));
    }
}

#[tokio::test]
async fn headers_pass_both_ways_and_hop_by_hop_ones_do_not() {
    let seen = Arc::new(Mutex::new(String::new()));
    let written = Arc::clone(&seen);
    let script = Script::new(move |mut stream, _| {
        let written = Arc::clone(&written);
        async move {
            *written.lock().await = head(&mut stream).await.unwrap();
            let text = "HTTP/1.1 404 Not Found\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n\
                        X-Docker-Container-Path-Stat: abc\r\nContent-Length: 0\r\n\r\n";
            say(&mut stream, text).await;
        }
    })
    .await;
    let mut request = Outgoing::get("/images/x/json");
    request.headers.insert("x-registry-auth", HeaderValue::from_static("e30="));
    request.headers.insert("expect", HeaderValue::from_static("100-continue"));
    let reply = script.client().send(request, Some(LONG)).await.unwrap();
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(reply.headers["x-docker-container-path-stat"], "abc");
    assert!(!reply.headers.contains_key("connection") && !reply.headers.contains_key("x-hop"));
    let head = seen.lock().await.to_lowercase();
    assert!(head.contains("x-registry-auth: e30=\r\n"), "{head}");
    assert!(head.contains(&format!("host: {}\r\n", script.address)), "{head}");
    assert!(head.contains("user-agent: swarm/") && !head.contains("expect"), "{head}");
}

#[tokio::test]
async fn a_unix_socket_is_an_engine_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await.unwrap();
        assert!(head.contains("host: docker\r\n"), "{head}");
        stream.write_all(ok("[1]").as_bytes()).await.unwrap();
    });
    let address = format!("unix://{}", path.display()).parse().unwrap();
    let client = EngineClient::new(address, ClientOptions::default());
    assert_eq!(client.get_json::<Vec<u8>>("/x", LONG).await.unwrap(), [1]);
}
