//! Upgraded connections: bytes after the head, half-close, and answers that are no upgrade.

use bytes::Bytes;
use http::{Method, StatusCode};
use swarm_backend::Reply;
use swarm_engine::{ClientOptions, EngineClient, EngineError, Outgoing, refusal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

use crate::script::{LONG, Script, head, ok, say};

const SWITCH: &str = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n\
                      Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
const OLD_WAY: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n";

type Raw = Compat<Box<dyn swarm_backend::Duplex>>;

fn attach() -> Outgoing {
    Outgoing {
        method: Method::POST,
        upgrade: Some("tcp".to_owned()),
        ..Outgoing::get("/containers/x/attach?stdin=1&stream=1")
    }
}

/// Plays an engine's part: `answer` and the first output at once; after the end of stdin, how much
/// it was.
pub async fn play(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) {
    let head = head(&mut stream).await.unwrap().to_lowercase();
    assert!(
        head.contains("connection: upgrade\r\n") && head.contains("upgrade: tcp\r\n"),
        "{head}"
    );
    say(&mut stream, &format!("{answer}hello ")).await;
    let mut stdin = Vec::new();
    stream.read_to_end(&mut stdin).await.unwrap();
    say(&mut stream, &format!("got {}", stdin.len())).await;
    stream.shutdown().await.unwrap();
}

pub async fn open(client: &EngineClient) -> Raw {
    let reply: Reply = client.send(attach(), Some(LONG)).await.unwrap();
    assert_eq!(reply.status, StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(reply.headers["content-type"], "application/vnd.docker.raw-stream");
    assert!(!reply.headers.contains_key("upgrade"));
    reply.upgraded.unwrap().await.unwrap().compat()
}

/// Writes a lot, closes the write half, and reads what comes before and after.
pub async fn half_close(mut raw: Raw) {
    let mut hello = [0; 6];
    raw.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello ");
    raw.write_all(&vec![7; 500_000]).await.unwrap();
    raw.shutdown().await.unwrap();
    let mut rest = String::new();
    raw.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "got 500000");
}

#[tokio::test]
async fn reading_goes_on_after_the_end_of_stdin() {
    let script = Script::new(|stream, _| play(stream, SWITCH)).await;
    half_close(open(&script.client()).await).await;
}

#[tokio::test]
async fn the_old_way_to_hijack_comes_out_the_same() {
    let script = Script::new(|stream, _| play(stream, OLD_WAY)).await;
    half_close(open(&script.client()).await).await;
}

#[tokio::test]
async fn a_unix_socket_half_closes_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let engine = tokio::spawn(async move {
        play(listener.accept().await.unwrap().0, SWITCH).await;
    });
    let address = format!("unix://{}", path.display()).parse().unwrap();
    half_close(open(&EngineClient::new(address, ClientOptions::default())).await).await;
    engine.await.unwrap();
}

#[tokio::test]
async fn an_exec_start_sends_its_json_before_the_switch() {
    let script = Script::new(|mut stream, _| async move {
        head(&mut stream).await.unwrap();
        let mut json = [0; 13];
        stream.read_exact(&mut json).await.unwrap();
        assert_eq!(&json, br#"{"Tty":false}"#);
        say(&mut stream, &format!("{SWITCH}done")).await;
    })
    .await;
    let body = swarm_backend::full(Bytes::from_static(br#"{"Tty":false}"#));
    let request = Outgoing { body, path_and_query: "/exec/x/start".into(), ..attach() };
    let reply = script.client().send(request, Some(LONG)).await.unwrap();
    let mut output = String::new();
    reply.upgraded.unwrap().await.unwrap().compat().read_to_string(&mut output).await.unwrap();
    assert_eq!(output, "done");
}

#[tokio::test]
async fn a_refusal_is_an_ordinary_reply_and_its_connection_is_kept() {
    let script = Script::answering(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 35\r\n\r\n{\"message\":\"No such container: x\"}\n",
    )
    .await;
    let client = script.client();
    for _ in 0..2 {
        let reply = client.send(attach(), Some(LONG)).await.unwrap();
        assert!(reply.upgraded.is_none());
        let error = refusal(reply).await;
        assert!(matches!(&error, EngineError::Status { code: 404, message }
            if message == "No such container: x"));
        assert_eq!(error.to_api("node-1").status(), 404);
        let error = client.get_bytes("/x", 100, LONG).await.unwrap_err();
        assert!(matches!(error, EngineError::Status { code: 404, .. }));
    }
    assert_eq!(script.connections(), 2, "each upgrade is asked for on a connection of its own");
}

#[tokio::test]
async fn a_detached_start_answers_in_plain_http() {
    let script = Script::new(|mut stream, _| async move {
        head(&mut stream).await.unwrap();
        say(&mut stream, &ok("")).await;
    })
    .await;
    let reply = script.client().send(attach(), Some(LONG)).await.unwrap();
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.upgraded.is_none());
}

#[tokio::test]
async fn severing_wakes_both_halves() {
    let script = Script::new(|mut stream, _| async move {
        head(&mut stream).await.unwrap();
        say(&mut stream, SWITCH).await;
        std::future::pending::<()>().await;
    })
    .await;
    let client = script.client();
    let (mut read, mut write) = tokio::io::split(open(&client).await);
    let reader = tokio::spawn(async move { read.read(&mut [0; 8]).await });
    let writer = tokio::spawn(async move {
        loop {
            if let Err(error) = write.write_all(&[0; 4096]).await {
                return error;
            }
        }
    });
    tokio::time::sleep(crate::script::SHORT).await;
    client.sever();
    let ended = async { (reader.await.unwrap().unwrap_err(), writer.await.unwrap()) };
    let (read, write) = tokio::time::timeout(LONG, ended).await.unwrap();
    assert_eq!((read.to_string(), write.to_string()), ("severed".into(), "severed".into()));
}
