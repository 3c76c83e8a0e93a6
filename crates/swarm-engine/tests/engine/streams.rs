//! Bodies that stream: nothing is held beyond the sockets' buffers, and dropping closes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use swarm_engine::{EngineError, Outgoing, read_body};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::script::{LONG, SHORT, Script, closed, head, ok, say};

const CHUNK: usize = 64 * 1024;
/// Both sockets' buffers at their largest on loopback, several times over.
const BUFFERS: usize = 64 << 20;

/// Waits until `counter` stands still.
async fn settled(counter: &AtomicUsize) -> usize {
    loop {
        let before = counter.load(Ordering::SeqCst);
        tokio::time::sleep(SHORT).await;
        if before > 0 && counter.load(Ordering::SeqCst) == before {
            return before;
        }
    }
}

/// An endless body that counts what is taken of it, and tells when it is dropped.
struct Endless {
    taken: Arc<AtomicUsize>,
    dropped: Arc<AtomicBool>,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static ZEROS: [u8; CHUNK] = [0; CHUNK];
        self.taken.fetch_add(CHUNK, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&ZEROS)))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn an_unread_reply_holds_the_engine_back_and_dropping_it_closes() {
    let written = Arc::new(AtomicUsize::new(0));
    let failed = Arc::new(Notify::new());
    let (counter, told) = (Arc::clone(&written), Arc::clone(&failed));
    let script = Script::new(move |mut stream, _| {
        let (counter, told) = (Arc::clone(&counter), Arc::clone(&told));
        async move {
            head(&mut stream).await;
            say(&mut stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            let chunk = [format!("{CHUNK:x}\r\n").as_bytes(), &vec![0; CHUNK], b"\r\n"].concat();
            while stream.write_all(&chunk).await.is_ok() {
                counter.fetch_add(CHUNK, Ordering::SeqCst);
            }
            told.notify_one();
        }
    })
    .await;
    let client = script.client();
    let mut reply = client.send(Outgoing::get("/containers/x/export"), Some(LONG)).await.unwrap();
    assert!(settled(&written).await < BUFFERS);
    let mut read = 0;
    while read < 2 * BUFFERS {
        read += reply.body.frame().await.unwrap().unwrap().data_ref().unwrap().len();
    }
    assert!(settled(&written).await < read + BUFFERS);
    drop(reply);
    tokio::time::timeout(LONG, failed.notified()).await.expect("the engine's write fails");
}

#[tokio::test]
async fn a_slow_engine_holds_the_upload_back_and_an_early_answer_ends_it() {
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let script = Script::new(move |mut stream, number| {
        let gate = Arc::clone(&gate);
        async move {
            head(&mut stream).await;
            if number == 0 {
                gate.notified().await;
                say(&mut stream, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n").await;
                closed(&mut stream).await;
            } else {
                say(&mut stream, &ok("{}")).await;
            }
        }
    })
    .await;
    let client = script.client();
    let (taken, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let body = Endless { taken: Arc::clone(&taken), dropped: Arc::clone(&dropped) };
    let request = Outgoing {
        method: Method::POST,
        body: body.map_err(|never| match never {}).boxed_unsync(),
        ..Outgoing::get("/images/load")
    };
    let sending = tokio::spawn({
        let client = client.clone();
        async move { client.send(request, None).await }
    });
    assert!(settled(&taken).await < BUFFERS);
    go.notify_one();
    let reply = sending.await.unwrap().unwrap();
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    drop(reply);
    client.get_bytes("/x", 10, LONG).await.unwrap();
    assert_eq!(script.connections(), 2, "half a request is no end of one");
    while !dropped.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_upload_and_its_reply_arrive_whole() {
    let script = Script::new(|mut stream, _| async move {
        let head = head(&mut stream).await.unwrap().to_lowercase();
        assert!(head.contains("content-length: 300000\r\n"), "{head}");
        let mut body = vec![0; 300_000];
        stream.read_exact(&mut body).await.unwrap();
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
    })
    .await;
    let sent: Vec<u8> = (0..300_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let body = swarm_backend::full(sent.clone());
    let request = Outgoing { method: Method::PUT, body, ..Outgoing::get("/containers/x/archive") };
    let reply = script.client().send(request, Some(LONG)).await.unwrap();
    assert_eq!(read_body(reply.body, 300_000).await.unwrap(), sent);
}

#[tokio::test]
async fn dropping_the_call_closes_its_connection() {
    let (told, mut gone) = tokio::sync::mpsc::unbounded_channel();
    let script = Script::new(move |mut stream, _| {
        let told = told.clone();
        async move {
            head(&mut stream).await;
            told.send("asked").unwrap();
            closed(&mut stream).await;
            told.send("closed").unwrap();
        }
    })
    .await;
    let client = script.client();
    let call = tokio::spawn(async move { client.send(Outgoing::get("/x"), None).await });
    assert_eq!(gone.recv().await, Some("asked"));
    call.abort();
    let next = tokio::time::timeout(LONG, gone.recv()).await;
    assert_eq!(next, Ok(Some("closed")));
}

#[tokio::test]
async fn severing_ends_a_silent_stream_and_later_calls_connect_anew() {
    let script = Script::new(|mut stream, number| async move {
        head(&mut stream).await;
        if number == 0 {
            let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
            say(&mut stream, text).await;
            std::future::pending::<()>().await;
        }
        say(&mut stream, &ok("{}")).await;
    })
    .await;
    let client = script.client();
    let reply = client.send(Outgoing::get("/containers/x/logs?follow=1"), None).await.unwrap();
    let reading = tokio::spawn(read_body(reply.body, 100));
    tokio::task::yield_now().await;
    client.sever();
    let error = tokio::time::timeout(LONG, reading).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, EngineError::Severed), "{error:?}");
    client.get_bytes("/x", 10, LONG).await.unwrap();
}
