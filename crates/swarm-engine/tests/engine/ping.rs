//! Pings: one kept connection, deadlines, garbage.

use std::time::Instant;

use swarm_engine::EngineError;
use tokio::io::AsyncWriteExt;

use crate::script::{LONG, SHORT, Script, head, say};

const PONG: &str = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK";

#[tokio::test]
async fn pings_share_one_connection() {
    let script = Script::answering(PONG).await;
    let client = script.client();
    for _ in 0..50 {
        client.ping(LONG).await.unwrap();
    }
    assert_eq!(script.connections(), 1);
    client.close_idle();
    client.ping(LONG).await.unwrap();
    assert_eq!(script.connections(), 2);
}

#[tokio::test]
async fn a_pong_in_pieces_is_a_pong() {
    let script = Script::new(|mut stream, _| async move {
        while head(&mut stream).await.is_some() {
            for byte in PONG.as_bytes() {
                stream.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
    let client = script.client();
    client.ping(LONG).await.unwrap();
    client.ping(LONG).await.unwrap();
    assert_eq!(script.connections(), 1);
}

#[tokio::test]
async fn a_connection_closed_between_pings_is_replaced() {
    let script = Script::new(|mut stream, _| async move {
        head(&mut stream).await;
        say(&mut stream, PONG).await;
    })
    .await;
    let client = script.client();
    for _ in 0..4 {
        client.ping(LONG).await.unwrap();
    }
    assert_eq!(script.connections(), 4);
}

#[tokio::test]
async fn a_silent_engine_is_a_deadline() {
    let script = Script::silent().await;
    let client = script.client();
    let start = Instant::now();
    let error = client.ping(SHORT).await.unwrap_err();
    assert!(matches!(error, EngineError::Deadline { what: "pong", .. }), "{error:?}");
    assert!(error.is_connection() && start.elapsed() < LONG);
    assert_eq!(error.to_string(), "no pong within 150ms");
    assert_eq!(error.to_api("node-1").message, "engine node-1: no pong within 150ms");
}

#[tokio::test]
async fn what_is_no_engine_is_an_error() {
    for (answer, part) in [
        ("SSH-2.0-OpenSSH_9\r\n", "not one of a Docker engine"),
        ("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", "500 Internal"),
    ] {
        let script = Script::answering(answer).await;
        let error = script.client().ping(LONG).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let endless = Script::new(|mut stream, _| async move {
        head(&mut stream).await;
        while stream.write_all(b"HTTP/1.1 200 OK\r\nX: yyyyyyyyyyyyyyyyyyyyyyyy\r\n").await.is_ok()
        {
        }
    })
    .await;
    assert!(endless.client().ping(LONG).await.is_err());
}
