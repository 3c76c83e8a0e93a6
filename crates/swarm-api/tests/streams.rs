//! Bodies and raw connections: back-pressure, half-closes, clients that go away, shutdown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fake::{Fake, UPGRADE, read_head, request, run, run_on, run_with, upgrading};
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use swarm_api::{Listener, ServerOptions};
use swarm_backend::{Body, BoxError, Duplex, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::compat::TokioAsyncReadCompatExt;

const PATIENCE: Duration = Duration::from_secs(10);

fn streaming(body: Body) -> Reply {
    Reply { status: StatusCode::OK, headers: HeaderMap::new(), body, upgraded: None }
}

/// A body that never says anything; `dropped` turns true with its end.
fn silent(dropped: Arc<AtomicBool>) -> Body {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let flag = Flag(dropped);
    let frames = stream::once(async move {
        std::future::pending::<()>().await;
        drop(flag);
        Ok::<_, BoxError>(Frame::data(Bytes::new()))
    });
    StreamBody::new(frames).boxed_unsync()
}

async fn eventually(what: &AtomicBool) {
    timeout(PATIENCE, async {
        while !what.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}

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

const CHUNK: usize = 64 << 10;
const CHUNKS: usize = 4096;
static BYTES: [u8; CHUNK] = [1; CHUNK];

#[tokio::test]
async fn a_slow_client_holds_up_the_engine_and_not_our_memory() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let server = run(Fake::acting(move |_, _, _| {
        let counted = Arc::clone(&counted);
        async move {
            let frames = stream::iter((0..CHUNKS).map(move |_| {
                counted.fetch_add(CHUNK, Ordering::SeqCst);
                Ok::<_, BoxError>(Frame::data(Bytes::from_static(&BYTES)))
            }));
            Ok(streaming(StreamBody::new(frames).boxed_unsync()))
        }
    }))
    .await;
    let mut client = server.connect().await;
    client.write_all(&request("GET /containers/c/export", &[], b"")).await.unwrap();
    read_head(&mut client).await;
    // The kernel's socket buffers fill; then nothing more may be made.
    let mut before = usize::MAX;
    while before != made.load(Ordering::SeqCst) {
        before = made.load(Ordering::SeqCst);
        sleep(Duration::from_millis(300)).await;
    }
    assert!(
        before < 32 << 20,
        "{before} of {} bytes made for a client that reads none",
        CHUNK * CHUNKS
    );
    let mut rest = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match client.read(&mut buffer).await.unwrap() {
            0 => break,
            read => rest += read,
        }
    }
    assert!(rest >= CHUNK * CHUNKS);
    assert_eq!(made.load(Ordering::SeqCst), CHUNK * CHUNKS);
}

#[tokio::test]
async fn a_refused_upload_is_read_on_so_that_the_client_hears_why() {
    let server = run(Fake::acting(|_, _, exchange| async move {
        drop(exchange);
        Err(swarm_backend::ApiError::conflict("no room for it"))
    }))
    .await;
    // More than the sockets' buffers hold; a closed connection would break this off.
    let body = vec![0; 16 << 20];
    let length = format!("Content-Length: {}", body.len());
    let answer = server.ask("POST /build", &[&length], &body).await;
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (StatusCode::CONFLICT, "no room for it")
    );
}

#[tokio::test]
async fn a_slow_engine_holds_up_the_client() {
    let server = run(Fake::acting(|_, _, exchange| async move {
        // Takes nothing for as long as the test lasts.
        std::future::pending::<()>().await;
        drop(exchange);
        Ok(Reply::no_content())
    }))
    .await;
    let mut client = server.connect().await;
    let head = ["Content-Length: 1000000000"];
    client.write_all(&request("PUT /containers/c/archive?path=/", &head, b"")).await.unwrap();
    let mut sent = 0;
    let chunk = vec![0; 64 << 10];
    while let Ok(written) = timeout(Duration::from_millis(500), client.write(&chunk)).await {
        sent += written.unwrap();
        assert!(sent < 32 << 20, "{sent} bytes taken for an engine that takes none");
    }
}

#[tokio::test]
async fn what_a_gone_client_asked_for_is_abandoned() {
    // During the answer, on a stream that says nothing; and before it.
    for answers in [true, false] {
        let dropped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&dropped);
        let server = run(Fake::acting(move |_, _, _| {
            let body = silent(Arc::clone(&flag));
            async move {
                if !answers {
                    std::future::pending::<()>().await;
                }
                Ok(streaming(body))
            }
        }))
        .await;
        let mut client = server.connect().await;
        client.write_all(&request("GET /events", &[], b"")).await.unwrap();
        if answers {
            assert_eq!(read_head(&mut client).await.status, 200);
        } else {
            sleep(Duration::from_millis(100)).await;
        }
        assert!(!dropped.load(Ordering::SeqCst));
        drop(client);
        eventually(&dropped).await;
    }
}

#[tokio::test]
async fn a_client_may_close_its_half_after_a_short_request() {
    let server = run(Fake::acting(|_, _, _| async {
        sleep(Duration::from_millis(300)).await;
        Ok(Reply::json(StatusCode::OK, "{}"))
    }))
    .await;
    let mut client = server.connect().await;
    client.write_all(&request("GET /info", &[], b"")).await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(fake::parse(&got).status, 200);
}

#[tokio::test]
async fn an_engine_that_breaks_off_breaks_off_the_answer() {
    let server = run(Fake::acting(|_, _, _| async {
        let frames = stream::iter([
            Ok(Frame::data(Bytes::from_static(b"half"))),
            Err(BoxError::from("engine gone")),
        ]);
        Ok(streaming(StreamBody::new(frames).boxed_unsync()))
    }))
    .await;
    let mut client = server.connect().await;
    client.write_all(&request("GET /images/get", &[], b"")).await.unwrap();
    let mut got = Vec::new();
    let _ = client.read_to_end(&mut got).await;
    assert!(!got.ends_with(b"0\r\n\r\n"), "a broken answer must not look complete");
}

#[tokio::test]
async fn shutdown_lets_requests_end_and_cuts_what_does_not() {
    let options = ServerOptions { drain: Duration::from_secs(1), ..ServerOptions::default() };
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&dropped);
    let server = run_with(
        Fake::acting(move |call, _, _| {
            let body = silent(Arc::clone(&flag));
            async move {
                if call == "save_images" {
                    return Ok(streaming(body));
                }
                sleep(Duration::from_millis(300)).await;
                Ok(Reply::json(StatusCode::OK, "{}"))
            }
        }),
        options,
    )
    .await;
    let mut slow = server.connect().await;
    slow.write_all(&request("GET /images/get", &[], b"")).await.unwrap();
    read_head(&mut slow).await;
    let mut short = server.connect().await;
    short.write_all(&request("GET /info", &["Connection: keep-alive"], b"")).await.unwrap();
    let idle = server.connect().await;
    sleep(Duration::from_millis(100)).await;
    server.stop.cancel();
    let mut got = Vec::new();
    short.read_to_end(&mut got).await.unwrap();
    assert_eq!(fake::parse(&got).status, 200);
    timeout(PATIENCE, server.served).await.unwrap().unwrap();
    assert!(dropped.load(Ordering::SeqCst));
    assert!(TcpStream::connect(server.address).await.is_err());
    drop(idle);
}

#[tokio::test]
async fn what_has_no_end_of_its_own_is_broken_off_at_once() {
    let server = run(Fake::acting(|_, _, _| async { Ok(streaming(silent(Arc::default()))) })).await;
    let mut clients = Vec::new();
    for path in ["GET /events", "GET /containers/web/logs?follow=1", "GET /containers/web/stats"] {
        let mut client = server.connect().await;
        client.write_all(&request(path, &[], b"")).await.unwrap();
        read_head(&mut client).await;
        clients.push(client);
    }
    let begun = Instant::now();
    server.stop.cancel();
    timeout(PATIENCE, server.served).await.unwrap().unwrap();
    assert!(begun.elapsed() < ServerOptions::default().drain / 2, "{:?}", begun.elapsed());
    for mut client in clients {
        let mut got = Vec::new();
        let _ = client.read_to_end(&mut got).await;
        assert!(!got.ends_with(b"0\r\n\r\n"), "a broken answer must not look complete");
    }
}

#[tokio::test]
async fn the_connection_limit_makes_further_clients_wait() {
    // One place is the listener's own while it waits.
    let options = ServerOptions { max_connections: 2, ..ServerOptions::default() };
    let server = run_with(Fake::describing(), options).await;
    let holders = [server.connect().await, server.connect().await];
    sleep(Duration::from_millis(100)).await;
    assert!(timeout(Duration::from_millis(300), server.get("/info")).await.is_err());
    drop(holders);
    let answer = timeout(PATIENCE, server.get("/info")).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_unix_socket_is_private_replaced_when_stale_and_removed() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = Listener::unix(&path).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let taken = Listener::unix(&path).await.unwrap_err().to_string();
    assert!(taken.contains("docker.sock") && taken.contains("another process"), "{taken}");
    let server = run_on(listener, Fake::describing(), ServerOptions::default());
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(&request("GET /info", &[], b"")).await.unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(fake::parse(&got).status, 200);
    server.stop.cancel();
    timeout(PATIENCE, server.served).await.unwrap().unwrap();
    assert!(!path.exists());
    std::fs::write(&path, "not a socket").unwrap();
    assert!(Listener::unix(&path).await.unwrap_err().to_string().contains("no socket"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a socket");
    let nowhere =
        Listener::unix(&folder.path().join("a/docker.sock")).await.unwrap_err().to_string();
    assert!(nowhere.contains(&format!("no folder {}/a", folder.path().display())), "{nowhere}");
}
