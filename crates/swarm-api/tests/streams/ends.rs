//! How listeners begin and end: shutdown in order, the limit of connections, a unix socket's life.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use swarm_api::{Listener, ServerOptions};
use swarm_backend::Reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use crate::fake::{self, Fake, read_head, request, run, run_on, run_with};
use crate::{PATIENCE, silent, streaming};

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
