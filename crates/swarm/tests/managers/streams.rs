//! Streams through a replica: upgrades with their half-closes, bulk both ways within bounds, events,
//! and clients that go away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use swarm_backend::{Body, BoxError, Exchange, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::broadcast::{self, Receiver};
use tokio::time::timeout;

use crate::fake::{Fake, UPGRADE, read_head, request, upgrading};
use crate::rig::{SOON, pair, until};

fn never() -> Fake {
    Fake::acting(|call, _, _| async move { panic!("the replica served {call} itself") })
}

fn streaming(body: Body) -> Reply {
    Reply { status: StatusCode::OK, headers: HeaderMap::new(), body, upgraded: None }
}

#[tokio::test]
async fn upgrades_keep_their_half_closes_in_both_directions() {
    for (line, protocol) in [
        ("POST /v1.41/containers/web/attach?stream=1&stdin=1", "tcp"),
        ("POST /exec/e/start", "tcp"),
        ("GET /containers/web/attach/ws", "websocket"),
        ("POST /session", "h2c"),
        ("POST /grpc", "h2c"),
    ] {
        for client_first in [true, false] {
            let (fake, mut engines) = upgrading();
            let (_store, _primary, replica) = pair(fake, never()).await;
            let mut client = replica.running.connect().await;
            let upgrade = format!("Upgrade: {protocol}");
            client.write_all(&request(line, &[UPGRADE[0], &upgrade], b"")).await.unwrap();
            let head = read_head(&mut client).await;
            assert_eq!((head.status.as_u16(), head.header("upgrade")), (101, protocol), "{line}");
            assert_eq!(head.header("content-type"), "application/vnd.docker.raw-stream");
            let (mut engine, asked, _) = engines.recv().await.unwrap();
            assert_eq!(asked.as_deref(), Some(protocol));
            let mut got = String::new();
            if client_first {
                client.write_all(b"stdin").await.unwrap();
                client.shutdown().await.unwrap();
                timeout(SOON, engine.read_to_string(&mut got)).await.unwrap().unwrap();
                assert_eq!(got, "stdin");
                engine.write_all(b"output after the end of stdin").await.unwrap();
                engine.shutdown().await.unwrap();
                got.clear();
                timeout(SOON, client.read_to_string(&mut got)).await.unwrap().unwrap();
                assert_eq!(got, "output after the end of stdin");
            } else {
                engine.write_all(b"all output").await.unwrap();
                engine.shutdown().await.unwrap();
                timeout(SOON, client.read_to_string(&mut got)).await.unwrap().unwrap();
                assert_eq!(got, "all output");
                client.write_all(b"still typing").await.unwrap();
                client.shutdown().await.unwrap();
                got.clear();
                timeout(SOON, engine.read_to_string(&mut got)).await.unwrap().unwrap();
                assert_eq!(got, "still typing");
            }
        }
    }
}

#[tokio::test]
async fn an_exec_upgrades_after_its_json_body_and_eager_input() {
    let (fake, mut engines) = upgrading();
    let (_store, _primary, replica) = pair(fake, never()).await;
    let mut client = replica.running.connect().await;
    let headers = [UPGRADE[0], UPGRADE[1], "Content-Type: application/json"];
    let mut eager = request("POST /exec/e/start", &headers, b"{\"Tty\":true}");
    eager.extend_from_slice(b"ls\n");
    client.write_all(&eager).await.unwrap();
    assert_eq!(read_head(&mut client).await.status, 101);
    let (mut engine, _, body) = engines.recv().await.unwrap();
    assert_eq!(body, 12);
    let mut got = [0; 3];
    engine.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"ls\n");
}

const CHUNK: usize = 64 << 10;
const WHOLE: usize = 100 << 20;
static BYTES: [u8; CHUNK] = [1; CHUNK];

/// Takes in everything, and answers with as much.
fn bulk(taken: Arc<AtomicUsize>) -> Fake {
    Fake::acting(move |_, _, exchange: Exchange| {
        let taken = Arc::clone(&taken);
        async move {
            let mut body = exchange.body;
            while let Some(frame) = body.frame().await {
                let length = frame.unwrap().data_ref().map_or(0, Bytes::len);
                taken.fetch_add(length, Ordering::SeqCst);
            }
            let frames = stream::iter(
                (0..WHOLE / CHUNK)
                    .map(|_| Ok::<_, BoxError>(Frame::data(Bytes::from_static(&BYTES)))),
            );
            Ok(streaming(StreamBody::new(frames).boxed_unsync()))
        }
    })
}

/// The most memory this process had, KiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_mebibytes_pass_both_ways_without_being_held() {
    let taken = Arc::new(AtomicUsize::new(0));
    let (_store, _primary, replica) = pair(bulk(Arc::clone(&taken)), never()).await;
    let before = peak();
    for (length, name) in [(Some(WHOLE), "with a length"), (None, "in chunks")] {
        taken.store(0, Ordering::SeqCst);
        let mut client = replica.running.connect().await;
        let framing = match length {
            Some(length) => format!("Content-Length: {length}"),
            None => "Transfer-Encoding: chunked".to_owned(),
        };
        client.write_all(&request("POST /images/load", &[&framing], b"")).await.unwrap();
        for _ in 0..WHOLE / CHUNK {
            if length.is_none() {
                client.write_all(format!("{CHUNK:x}\r\n").as_bytes()).await.unwrap();
            }
            client.write_all(&BYTES).await.unwrap();
            if length.is_none() {
                client.write_all(b"\r\n").await.unwrap();
            }
        }
        if length.is_none() {
            client.write_all(b"0\r\n\r\n").await.unwrap();
        }
        assert_eq!(read_head(&mut client).await.status, 200, "{name}");
        assert_eq!(taken.load(Ordering::SeqCst), WHOLE, "{name}");
        let (mut got, mut buffer) = (0, vec![0; CHUNK]);
        loop {
            match timeout(SOON, client.read(&mut buffer)).await.unwrap().unwrap() {
                0 => break,
                read => got += read,
            }
        }
        assert!(got >= WHOLE, "{name}: {got}");
    }
    let grown = peak() - before;
    println!("{grown} KiB more at the most");
    assert!(grown < 24 << 10, "{grown} KiB more at the most");
}

#[tokio::test]
async fn a_slow_reader_holds_up_the_primary() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let endless = Fake::acting(move |_, _, _| {
        let counted = Arc::clone(&counted);
        async move {
            let frames = stream::iter((0..16 * WHOLE / CHUNK).map(move |_| {
                counted.fetch_add(CHUNK, Ordering::SeqCst);
                Ok::<_, BoxError>(Frame::data(Bytes::from_static(&BYTES)))
            }));
            Ok(streaming(StreamBody::new(frames).boxed_unsync()))
        }
    });
    let (_store, _primary, replica) = pair(endless, never()).await;
    let mut client = replica.running.connect().await;
    client.write_all(&request("GET /containers/c/export", &[], b"")).await.unwrap();
    read_head(&mut client).await;
    let mut before = usize::MAX;
    while before != made.load(Ordering::SeqCst) {
        before = made.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(before < 64 << 20, "{before} bytes made for a client that reads none");
}

/// A stream that tells something when the test says so; the flag turns true with its end.
fn told(ended: Arc<AtomicBool>) -> (Fake, broadcast::Sender<&'static str>) {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (tell, _) = broadcast::channel(8);
    let teller = tell.clone();
    let fake = Fake::acting(move |_, _, _| {
        let begin = (teller.subscribe(), Flag(Arc::clone(&ended)));
        async move {
            let frames =
                stream::unfold(begin, |(mut tell, flag): (Receiver<&str>, Flag)| async move {
                    let line: &str = tell.recv().await.ok()?;
                    Some((
                        Ok::<_, BoxError>(Frame::data(Bytes::from_static(line.as_bytes()))),
                        (tell, flag),
                    ))
                });
            Ok(streaming(StreamBody::new(frames).boxed_unsync()))
        }
    });
    (fake, tell)
}

#[tokio::test]
async fn a_long_stream_is_told_as_it_comes_and_ends_there_with_its_client() {
    for line in ["GET /events", "GET /containers/c/logs?follow=1", "POST /containers/c/wait"] {
        let ended = Arc::new(AtomicBool::new(false));
        let (fake, tell) = told(Arc::clone(&ended));
        let (_store, _primary, replica) = pair(fake, never()).await;
        let mut client = replica.running.connect().await;
        client.write_all(&request(line, &[], b"")).await.unwrap();
        assert_eq!(read_head(&mut client).await.status, 200);
        for word in ["first", "second"] {
            tell.send(word).unwrap();
            let mut got = String::new();
            while !got.contains(word) {
                got.push(char::from(timeout(SOON, client.read_u8()).await.unwrap().unwrap()));
            }
        }
        assert!(!ended.load(Ordering::SeqCst));
        drop(client);
        until("the primary lets go", || ended.load(Ordering::SeqCst)).await;
    }
}

#[tokio::test]
async fn a_client_that_goes_before_the_answer_is_gone_for_the_primary() {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (begun, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let flags = (Arc::clone(&begun), Arc::clone(&ended));
    let silent = Fake::acting(move |_, _, _| {
        let flag = Flag(Arc::clone(&flags.1));
        flags.0.store(true, Ordering::SeqCst);
        async move {
            std::future::pending::<()>().await;
            drop(flag);
            Ok(Reply::no_content())
        }
    });
    let (_store, _primary, replica) = pair(silent, never()).await;
    let mut client = replica.running.connect().await;
    client.write_all(&request("POST /containers/c/stop", &[], b"")).await.unwrap();
    until("it is asked", || begun.load(Ordering::SeqCst)).await;
    assert!(!ended.load(Ordering::SeqCst));
    drop(client);
    until("the primary lets go", || ended.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_stream_ends_when_its_primary_dies() {
    let (fake, tell) = told(Arc::default());
    let (_store, primary, replica) = pair(fake, never()).await;
    let mut client = replica.running.connect().await;
    client.write_all(&request("GET /events", &[], b"")).await.unwrap();
    read_head(&mut client).await;
    tell.send("first").unwrap();
    primary.kill();
    let mut rest = Vec::new();
    let _ = timeout(SOON, client.read_to_end(&mut rest)).await.expect("it ends");
    assert!(!rest.ends_with(b"0\r\n\r\n"), "a broken stream must not look complete");
}
