//! What breaks: no engine, silence, garbage, sizes. Every error says what and is classed right.

use http::Method;
use swarm_docker::ErrorClass;
use swarm_engine::{ClientOptions, EngineClient, EngineError, Outgoing};
use tokio::net::TcpListener;

use crate::script::{LONG, SHORT, Script, head, say};

#[tokio::test]
async fn a_closed_port_is_a_connect_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    drop(listener);
    let client = EngineClient::new(address, ClientOptions::default());
    let error = client.get_bytes("/x", 10, LONG).await.unwrap_err();
    assert!(matches!(error, EngineError::Connect(_)) && error.is_connection(), "{error:?}");
    let api = error.to_api("node-1");
    assert_eq!(api.class, ErrorClass::Unavailable);
    assert!(api.message.starts_with("engine node-1: cannot connect: "), "{api}");
    assert!(client.ping(LONG).await.unwrap_err().to_string().starts_with("cannot connect"));
}

#[tokio::test]
async fn a_missing_unix_socket_and_an_unknown_name_are_connect_errors() {
    for address in ["unix:///nonexistent/d.sock", "host.invalid:2375"] {
        let client = EngineClient::new(address.parse().unwrap(), ClientOptions::default());
        let error = client.get_bytes("/x", 10, LONG).await.unwrap_err();
        let expected = matches!(error, EngineError::Connect(_) | EngineError::Deadline { .. });
        assert!(expected && error.is_connection(), "{error:?}");
    }
}

#[tokio::test]
async fn a_silent_engine_runs_into_each_calls_deadline() {
    let script = Script::new(|mut stream, _| async move {
        head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let options = ClientOptions { request_deadline: SHORT, ..ClientOptions::default() };
    let client = script.client_with(options);
    let deadline = |error: EngineError| match error {
        EngineError::Deadline { what, after } if after == SHORT => what,
        other => panic!("{other:?}"),
    };
    let sent = client.send(Outgoing::get("/x"), Some(SHORT)).await.unwrap_err();
    assert_eq!(sent.to_api("n").class, ErrorClass::Deadline);
    assert_eq!(deadline(sent), "answer");
    assert_eq!(deadline(client.get_bytes("/x", 1, SHORT).await.unwrap_err()), "answer");
    assert_eq!(deadline(client.negotiate(SHORT).await.unwrap_err()), "version");
    assert_eq!(deadline(client.events(None).await.unwrap_err()), "event stream");
    let upgrade = Outgoing { upgrade: Some("tcp".into()), ..Outgoing::get("/x") };
    assert_eq!(deadline(client.send(upgrade, Some(SHORT)).await.unwrap_err()), "answer");
}

#[tokio::test]
async fn a_body_that_stalls_runs_into_the_deadline_too() {
    let script = Script::new(|mut stream, _| async move {
        head(&mut stream).await;
        say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[1").await;
        std::future::pending::<()>().await;
    })
    .await;
    let error = script.client().get_bytes("/x", 100, SHORT).await.unwrap_err();
    assert!(matches!(error, EngineError::Deadline { .. }), "{error:?}");
}

#[tokio::test]
async fn garbage_is_named_as_such() {
    let check = async |answer: &'static str| {
        let script = Script::new(move |mut stream, _| async move {
            head(&mut stream).await;
            say(&mut stream, answer).await;
        })
        .await;
        script.client().get_json::<Vec<u8>>("/containers/json?all=1", LONG).await.unwrap_err()
    };
    let error = check("SSH-2.0-OpenSSH_9\r\n").await;
    assert!(error.is_connection() && error.to_string().contains("not HTTP"), "{error:?}");
    let error = check("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1").await;
    assert!(matches!(error, EngineError::Body(_)) && error.is_connection(), "{error:?}");
    for early in ["Content-Length: 10\r\n\r\n[1", "Transfer-Encoding: chunked\r\n\r\n5\r\n[1"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{early}").leak();
        let words = check(answer).await.to_string();
        assert_eq!(words, "the answer broke off: the engine closed the connection", "{early:?}");
    }
    let error = check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await;
    assert!(matches!(error, EngineError::Body(_)), "{error:?}");
    let error = check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[}").await;
    assert!(!error.is_connection(), "{error:?}");
    assert!(error.to_string().starts_with("unexpected answer to /containers/json: "), "{error}");
    let error = check("HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\nboom\n").await;
    assert!(matches!(&error, EngineError::Status { code: 500, message } if message == "boom"));
    let error = check("HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(error.to_string(), "Service Unavailable");
}

#[tokio::test]
async fn heads_and_bodies_have_bounds() {
    let large = Script::answering("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef").await;
    assert_eq!(large.client().get_bytes("/x", 6, LONG).await.unwrap(), "abcdef");
    let error = large.client().get_bytes("/x", 5, LONG).await.unwrap_err();
    assert!(matches!(error, EngineError::TooLarge { limit: 5, .. }), "{error:?}");

    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    let script = Script::answering(chunked).await;
    assert_eq!(script.client().get_bytes("/x", 6, LONG).await.unwrap(), "abcdef");
    let error = script.client().get_bytes("/x", 5, LONG).await.unwrap_err();
    assert!(matches!(error, EngineError::TooLarge { .. }), "{error:?}");

    let endless = Script::new(|mut stream, _| async move {
        head(&mut stream).await;
        say(&mut stream, "HTTP/1.1 200 OK\r\n").await;
        let line = format!("X: {}\r\n", "y".repeat(1000));
        while tokio::io::AsyncWriteExt::write_all(&mut stream, line.as_bytes()).await.is_ok() {}
    })
    .await;
    let error = endless.client().get_bytes("/x", 5, LONG).await.unwrap_err();
    assert!(matches!(error, EngineError::Http(_)), "{error:?}");
}

#[tokio::test]
async fn no_common_version_is_said_and_forgets_the_old_one() {
    let script = Script::new(|mut stream, number| async move {
        let (oldest, newest) = if number == 0 { ("1.24", "1.41") } else { ("1.99", "1.99") };
        head(&mut stream).await;
        let json = format!(r#"{{"ApiVersion":"{newest}","MinAPIVersion":"{oldest}"}}"#);
        say(&mut stream, &crate::script::ok(&json)).await;
    })
    .await;
    let client = script.client();
    client.negotiate(LONG).await.unwrap();
    let error = client.negotiate(LONG).await.unwrap_err();
    assert!(error.to_string().contains("speaks API 1.99 to 1.99"), "{error}");
    assert_eq!(client.versions(), None);
}

#[tokio::test]
async fn a_bodys_own_failure_ends_the_request() {
    let script = Script::new(|mut stream, _| async move {
        crate::script::closed(&mut stream).await;
    })
    .await;
    let broken = futures_util::stream::once(async {
        Err::<http_body::Frame<bytes::Bytes>, swarm_backend::BoxError>("the client left".into())
    });
    let body = http_body_util::BodyExt::boxed_unsync(http_body_util::StreamBody::new(broken));
    let request = Outgoing { method: Method::POST, body, ..Outgoing::get("/images/load") };
    let error = script.client().send(request, None).await.unwrap_err();
    assert!(error.to_string().contains("the client left"), "{error}");
}
