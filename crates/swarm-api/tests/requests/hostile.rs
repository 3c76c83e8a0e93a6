//! Clients that mean ill, or know no better.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, HeaderValue, StatusCode};
use swarm_backend::Reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fake::{Fake, parse, read_head, request, run};

#[tokio::test]
async fn names_that_climb_out_never_reach_the_backend() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let server = run(Fake::acting(move |_, _, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Ok(Reply::no_content()) }
    }))
    .await;
    for path in [
        "/containers/../../etc/json",
        "/containers/%2e%2e/json",
        "/containers/a%2f..%2f..%2fb/json",
        "/containers/a%00b/json",
        "/containers/a%0d%0ab/json",
        "/images/../containers/json/json",
        "/volumes/..",
        "/volumes/%2E%2E%2Fetc",
        "/networks/a//b",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert!(answer.message().starts_with("invalid "), "{path}: {answer:?}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn control_bodies_must_be_json_and_small() {
    let server = run(Fake::describing()).await;
    let json = "Content-Type: application/json; charset=utf-8";
    let fine = server.ask("POST /containers/create", &[json], b"{}").await;
    assert_eq!((fine.status, &fine.json()["bytes"]), (StatusCode::OK, &2.into()));
    for (line, headers) in [
        ("POST /containers/create", &["Content-Type: text/plain"][..]),
        ("POST /containers/x/exec", &[]),
        ("POST /volumes/create", &["Content-Type: application/jsonx"]),
    ] {
        let answer = server.ask(line, headers, b"{}").await;
        assert_eq!(answer.status, 400, "{line}");
        assert!(answer.message().ends_with("must be 'application/json'"), "{answer:?}");
        assert!(answer.message().starts_with("Content-Type specified ("), "{answer:?}");
    }
    // Docker does not ask for a type here.
    assert_eq!(server.ask("POST /auth", &[], b"{}").await.status, 200);

    // Announced: refused before it is sent.
    let mut stream = server.connect().await;
    let announced = ["Content-Length: 5000000", json];
    stream.write_all(&request("POST /networks/create", &announced, b"")).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = parse(&answer);
    assert_eq!(answer.status, 413);
    assert!(answer.message().contains("4194304 bytes"), "{answer:?}");

    // Not announced: read up to the bound and no further.
    let mut stream = server.connect().await;
    let chunked = ["Transfer-Encoding: chunked", json];
    stream.write_all(&request("POST /networks/create", &chunked, b"")).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
    for _ in 0..65 {
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(parse(&answer).status, 413);

    // Archives have no bound.
    let load = server.ask("POST /images/load", &[], &vec![0; 6 << 20]).await;
    assert_eq!(load.json()["bytes"], 6 << 20);
}

#[tokio::test]
async fn oversize_heads_are_refused_and_large_credentials_are_not() {
    let server = run(Fake::describing()).await;
    let large = format!("X-Registry-Config: {}", "a".repeat(64 << 10));
    assert_eq!(server.ask("POST /build", &[&large], b"").await.status, 200);
    let oversize = format!("X-Registry-Config: {}", "a".repeat(512 << 10));
    let answer = server.ask("POST /build", &[&oversize], b"").await;
    assert_eq!(answer.status, 431);
    assert!(answer.message().contains("headers are too large"), "{answer:?}");
    let many: Vec<String> = (0..300).map(|n| format!("X-Meta-{n}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(server.ask("GET /info", &many, b"").await.status, 431);
    let long = format!("GET /containers/{}/json", "a".repeat(70_000));
    assert_eq!(server.ask(&long, &[], b"").await.status, 414);
    let mut stream = server.connect().await;
    stream.write_all(b"GET /info HTTP/1.1\r\nbad header\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = parse(&answer);
    assert_eq!(answer.status, 400);
    assert!(answer.message().starts_with("malformed HTTP request"), "{answer:?}");
    // A refusal after an answered request keeps its status.
    let mut stream = server.connect().await;
    stream.write_all(&request("GET /info", &["Connection: keep-alive"], b"")).await.unwrap();
    let head = read_head(&mut stream).await;
    let mut body = vec![0; head.header("content-length").parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    stream.write_all(b"no request at all\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(parse(&answer).status, 400);
}

#[test]
fn whatever_a_client_sends_the_server_goes_on() {
    use proptest::prelude::*;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(run(Fake::describing()));
    let line = "(GET|POST|DELETE|HEAD|OPTIONS|PUT|X) /(v1\\.(24|41|9{1,30})/)?[a-z/%.0-9]{0,30}\
                (/json|/start|/archive)?(\\?[a-z%=&0-9{}\"]{0,30})?";
    let config = ProptestConfig { cases: 300, ..ProptestConfig::default() };
    proptest!(config, |(line in line, junk in prop::collection::vec(any::<u8>(), 0..200))| {
        runtime.block_on(async {
            for sent in [request(&line, &[], b""), request(&line, &[], &junk), junk.clone()] {
                let mut stream = server.connect().await;
                let _ = stream.write_all(&sent).await;
                let _ = stream.shutdown().await;
                let mut answer = Vec::new();
                let read = stream.read_to_end(&mut answer);
                tokio::time::timeout(std::time::Duration::from_secs(5), read)
                    .await
                    .expect("no answer and no end")
                    .ok();
                if !answer.is_empty() {
                    let answer = parse(&answer);
                    prop_assert!(answer.status.as_u16() != 500, "{line}: {answer:?}");
                }
            }
            Ok(())
        })?;
    });
    assert_eq!(runtime.block_on(server.get("/_ping")).body, "OK");
}

#[tokio::test]
async fn headers_of_one_connection_do_not_cross() {
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let kept = Arc::clone(&seen);
    let server = run(Fake::acting(move |_, _, exchange| {
        *kept.lock().unwrap() = exchange.headers;
        async {
            let mut reply = Reply::json(StatusCode::CREATED, "{}");
            for (name, value) in [
                ("connection", "keep-alive"),
                ("keep-alive", "timeout=3"),
                ("transfer-encoding", "chunked"),
                ("content-length", "999"),
                ("server", "Docker/20.10 (linux)"),
                ("x-engine", "kept"),
            ] {
                reply.headers.insert(name, HeaderValue::from_static(value));
            }
            Ok(reply)
        }
    }))
    .await;
    let sent = [
        "Connection: close, X-Hop",
        "X-Hop: 1",
        "TE: trailers",
        "X-Registry-Auth: e30=",
        "Upgrade: h2c",
    ];
    let answer = server.ask("POST /images/create?fromImage=a", &sent, b"").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::CREATED, "{}"));
    assert_eq!(answer.header("content-length"), "2");
    assert_eq!(answer.header("keep-alive"), "");
    assert_eq!(answer.header("server"), "Swarm/9.9.9 (linux)");
    assert_eq!(answer.header("x-engine"), "kept");
    let seen = seen.lock().unwrap();
    let names: Vec<_> = seen.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["x-registry-auth"]);
}
