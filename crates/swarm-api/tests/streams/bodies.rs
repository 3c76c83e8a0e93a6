//! Bodies: who is slow holds up the other side, and what nobody waits for any more is abandoned.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use swarm_backend::{BoxError, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::fake::{self, Fake, read_head, request, run};
use crate::{eventually, silent, streaming};

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
