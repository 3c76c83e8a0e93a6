//! A service that says where its client is, and one that never answers.

use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;

const SOON: Duration = Duration::from_secs(10);

struct Told;

impl Service for Told {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<Incoming>, visit: Visit) -> Response<Full<Bytes>> {
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        Response::new(Full::new(format!("{} {}", visit.from, visit.crowded).into()))
    }
}

async fn served(bounds: Bounds) -> (std::net::SocketAddr, CancellationToken, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let doors = vec![Door { listener, tls: None }];
    let serving = serve("a test", doors, bounds, Arc::new(Told), stop.clone());
    (address, stop, tokio::spawn(serving))
}

fn bounds() -> Bounds {
    Bounds { connections: 4, idle: SOON, longest: None, drain: Duration::from_millis(100) }
}

async fn ask(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
}

async fn answered(stream: &mut TcpStream, words: &str) {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).ends_with(words) {
        let more = tokio::time::timeout(SOON, stream.read_buf(&mut read)).await.unwrap().unwrap();
        assert!(more > 0, "{:?}", String::from_utf8_lossy(&read));
    }
}

#[tokio::test]
async fn whoever_is_too_many_waits_and_shutdown_ends_all() {
    let (address, stop, serving) = served(bounds()).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = TcpStream::connect(address).await.unwrap();
        ask(&mut client, "/").await;
        // The place for whoever comes next counts as taken.
        let crowded = clients.len() >= 2;
        answered(&mut client, &format!("127.0.0.1 {crowded}")).await;
        clients.push(client);
    }
    let mut fifth = TcpStream::connect(address).await.unwrap();
    ask(&mut fifth, "/").await;
    let mut one = [0];
    let early = tokio::time::timeout(Duration::from_millis(300), fifth.read(&mut one)).await;
    assert!(early.is_err(), "it waits for a place");
    drop(clients.pop());
    answered(&mut fifth, "127.0.0.1 true").await;
    ask(&mut clients[0], "/never").await;
    stop.cancel();
    tokio::time::timeout(SOON, serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn nobody_stays_for_longer_than_he_may() {
    let short = Duration::from_millis(200);
    for bounds in [Bounds { longest: Some(short), ..bounds() }, Bounds { idle: short, ..bounds() }]
    {
        let (address, _stop, _serving) = served(bounds).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        if bounds.longest.is_some() {
            ask(&mut client, "/never").await;
        }
        let mut rest = Vec::new();
        tokio::time::timeout(SOON, client.read_to_end(&mut rest)).await.unwrap().unwrap();
    }
}

/// Gives back what it is given.
struct Echo;

impl Taker for Echo {
    async fn take<T>(&self, stream: T) -> std::io::Result<()>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut from, mut to) = tokio::io::split(stream);
        tokio::io::copy(&mut from, &mut to).await?;
        to.shutdown().await
    }
}

#[tokio::test]
async fn a_raw_connection_may_go_on_for_a_while_after_shutdown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let doors = vec![Door { listener, tls: None }];
    // No head is waited for, however short that would be.
    let bounds = Bounds { idle: Duration::ZERO, drain: SOON, ..bounds() };
    let serving = tokio::spawn(serve_raw("a test", doors, bounds, Arc::new(Echo), stop.clone()));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"before, ").await.unwrap();
    answered(&mut client, "before, ").await;
    stop.cancel();
    client.write_all(b"and after").await.unwrap();
    answered(&mut client, "and after").await;
    assert!(!serving.is_finished(), "it is not cut");
    client.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "its end comes back");
    tokio::time::timeout(SOON, serving).await.unwrap().unwrap();
}
