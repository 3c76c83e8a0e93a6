//! Upgraded connections: half-closes in both directions, eager clients, and who is offered one.

use std::time::Duration;

use http::StatusCode;
use swarm_backend::{Duplex, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::PATIENCE;
use crate::fake::{Fake, UPGRADE, read_head, request, run, upgrading};

#[tokio::test]
async fn an_upgrade_keeps_half_closes_in_both_directions() {
    for client_first in [true, false] {
        let (fake, mut engines) = upgrading();
        let server = run(fake).await;
        let mut client = server.connect().await;
        let line = "POST /v1.41/containers/n/web/attach?stream=1&stdin=1";
        client.write_all(&request(line, &UPGRADE, b"")).await.unwrap();
        let head = read_head(&mut client).await;
        assert_eq!(head.status, 101);
        assert_eq!(head.header("connection"), "Upgrade");
        assert_eq!(head.header("upgrade"), "tcp");
        assert_eq!(head.header("content-type"), "application/vnd.docker.raw-stream");
        let (mut engine, upgrade, _) = engines.recv().await.unwrap();
        assert_eq!(upgrade.as_deref(), Some("tcp"));
        if client_first {
            client.write_all(b"stdin").await.unwrap();
            client.shutdown().await.unwrap();
            let mut got = String::new();
            timeout(PATIENCE, engine.read_to_string(&mut got)).await.unwrap().unwrap();
            assert_eq!(got, "stdin");
            engine.write_all(b"output after the end of stdin").await.unwrap();
            engine.shutdown().await.unwrap();
            let mut got = String::new();
            timeout(PATIENCE, client.read_to_string(&mut got)).await.unwrap().unwrap();
            assert_eq!(got, "output after the end of stdin");
        } else {
            engine.write_all(b"all output").await.unwrap();
            engine.shutdown().await.unwrap();
            let mut got = String::new();
            timeout(PATIENCE, client.read_to_string(&mut got)).await.unwrap().unwrap();
            assert_eq!(got, "all output");
            client.write_all(b"still typing").await.unwrap();
            client.shutdown().await.unwrap();
            let mut got = String::new();
            timeout(PATIENCE, engine.read_to_string(&mut got)).await.unwrap().unwrap();
            assert_eq!(got, "still typing");
        }
    }
}

#[tokio::test]
async fn an_exec_upgrades_after_its_json_body() {
    let (fake, mut engines) = upgrading();
    let server = run(fake).await;
    let mut client = server.connect().await;
    let headers = [UPGRADE[0], UPGRADE[1], "Content-Type: application/json"];
    // The first input follows right behind the body, as an eager client may send it.
    let mut eager = request("POST /exec/e/start", &headers, b"{\"Tty\":true}");
    eager.extend_from_slice(b"ls\n");
    client.write_all(&eager).await.unwrap();
    assert_eq!(read_head(&mut client).await.status, 101);
    let (mut engine, _, body) = engines.recv().await.unwrap();
    assert_eq!(body, 12);
    let mut got = [0; 3];
    engine.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"ls\n");
    engine.write_all(b"bin\n").await.unwrap();
    let mut got = [0; 4];
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"bin\n");
}

#[tokio::test]
async fn a_client_may_end_its_stdin_before_the_101() {
    let (out, mut gate) = mpsc::unbounded_channel();
    let fake = Fake::acting(move |_, _, _| {
        let out = out.clone();
        async move {
            // The engine takes longer than the grace that other requests have.
            sleep(Duration::from_secs(3)).await;
            let (ours, theirs) = duplex(64);
            out.send(ours).unwrap();
            let theirs: Box<dyn Duplex> = Box::new(theirs.compat());
            let mut reply = Reply::no_content();
            reply.status = StatusCode::SWITCHING_PROTOCOLS;
            reply.upgraded = Some(Box::pin(async { Ok(theirs) }));
            Ok(reply)
        }
    });
    let server = run(fake).await;
    let mut client = server.connect().await;
    client.write_all(&request("POST /containers/c/attach", &UPGRADE, b"")).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_head(&mut client).await.status, 101);
    let mut engine = gate.recv().await.unwrap();
    let mut got = Vec::new();
    timeout(PATIENCE, engine.read_to_end(&mut got)).await.unwrap().unwrap();
    assert!(got.is_empty());
    engine.write_all(b"done").await.unwrap();
    drop(engine);
    let mut got = String::new();
    timeout(PATIENCE, client.read_to_string(&mut got)).await.unwrap().unwrap();
    assert_eq!(got, "done");
}

#[tokio::test]
async fn an_upgrade_is_offered_only_where_the_api_has_one() {
    let server = run(Fake::describing()).await;
    let h2c = ["Connection: close, Upgrade", "Upgrade: h2c"];
    assert!(server.ask("GET /info", &h2c, b"").await.json()["upgrade"].is_null());
    for (line, protocol) in [
        ("POST /session", "h2c"),
        ("POST /grpc", "h2c"),
        ("GET /containers/c/attach/ws", "websocket"),
        ("POST /containers/c/attach", "tcp"),
        ("POST /exec/e/start", "tcp"),
    ] {
        let upgrade = format!("Upgrade: {protocol}");
        let answer = server.ask(line, &["Connection: close, Upgrade", &upgrade], b"").await;
        assert_eq!(answer.json()["upgrade"], protocol, "{line}");
    }
}

#[tokio::test]
async fn a_101_nobody_asked_for_is_an_error() {
    let (fake, _engines) = upgrading();
    let server = run(fake).await;
    let answer = server.ask("POST /containers/c/attach", &[], b"").await;
    assert_eq!(answer.status, 500);
    assert!(answer.message().contains("switched protocols"), "{answer:?}");
}
