//! `token://` over the real service: the shared conformance test, and what it does not cover.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use swarm_discovery::conformance::{Subject, check};
use swarm_discovery::{DiscoveryBackend, DiscoveryError, Entry, Registration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::rig::Rig;

const SOON: Duration = Duration::from_secs(20);

struct Tokens {
    rig: Mutex<Rig>,
    token: String,
    backend: Arc<dyn DiscoveryBackend>,
}

#[async_trait]
impl Subject for Tokens {
    fn backend(&self) -> Arc<dyn DiscoveryBackend> {
        Arc::clone(&self.backend)
    }
    fn initial(&self) -> Vec<Entry> {
        ["10.0.0.1:2375", "10.0.0.2:2375"].map(|address| address.parse().unwrap()).into()
    }
    async fn set(&self, entries: &[Entry]) -> bool {
        let mut rig = self.rig.lock().await;
        if TcpStream::connect(&rig.address).await.is_err() {
            rig.resume().await;
        }
        put(&rig, &self.token, entries).await;
        true
    }
    async fn spoil(&self) -> bool {
        self.rig.lock().await.pause().await;
        true
    }
    fn registers(&self) -> bool {
        true
    }
}

/// Sets a token's engines at once, as the owner can.
async fn put(rig: &Rig, token: &str, entries: &[Entry]) {
    let list: Vec<_> = entries.iter().map(|entry| format!("\"{entry}\"")).collect();
    let body = format!("[{}]", list.join(","));
    let request = format!(
        "PUT /v1/clusters/{token}?ttl=600 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Authorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
        rig.key,
        body.len()
    );
    let mut stream = TcpStream::connect(&rig.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    let rig = Rig::start(None).await;
    let token = rig.service().create().await.unwrap();
    let backend = rig.backend(&token, &[]);
    let tokens = Tokens { rig: Mutex::new(rig), token, backend };
    assert!(tokens.set(&tokens.initial()).await);
    check(&tokens).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leave_is_told_from_a_registration_that_ran_out() {
    let mut rig = Rig::start(None).await;
    let token = rig.service().create().await.unwrap();
    let backend = rig.backend(&token, &[]);
    let [a, b, c]: [Entry; 3] = ["a:1", "[::1]:2", "c:3"].map(|text| text.parse().unwrap());
    backend.register(&a, Duration::from_mins(1)).await.unwrap();
    backend.register(&b, Duration::from_millis(1)).await.unwrap();
    assert!(!backend.has_left(&a).await.unwrap() && !backend.has_left(&c).await.unwrap());
    assert_eq!(backend.registration(&c).await.unwrap(), Registration::Absent);
    let renewed = backend.registration(&a).await.unwrap();
    assert!(matches!(renewed, Registration::Renewed(ago) if ago < SOON), "{renewed:?}");

    backend.deregister(&a).await.unwrap();
    assert!(backend.has_left(&a).await.unwrap());
    rig.pause().await;
    rig.resume().await;
    assert!(backend.has_left(&a).await.unwrap(), "it is remembered");
    // One second, rounded up, and it is gone without having left.
    let mut watch = backend.watch();
    while !tokio::time::timeout(SOON, watch.next()).await.unwrap().unwrap().unwrap().is_empty() {}
    assert!(!backend.has_left(&b).await.unwrap());
    let socket: Entry = "unix:///run/a.sock".parse().unwrap();
    let refused = backend.register(&socket, SOON).await;
    assert!(matches!(refused, Err(DiscoveryError::NotRegistrable { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_token_is_an_error_and_no_empty_pool() {
    let rig = Rig::start(None).await;
    let token = rig.service().create().await.unwrap();
    let entry: Entry = "a:1".parse().unwrap();
    let backend = rig.backend(&token, &[]);
    backend.register(&entry, SOON).await.unwrap();
    let mut watch = backend.watch();
    assert_eq!(watch.next().await.unwrap().unwrap().len(), 1);
    let key = rig.key.clone();
    assert!(rig.service().remove("not-the-owners-key", &token).await.is_err());
    rig.service().remove(&key, &token).await.unwrap();
    let error = tokio::time::timeout(SOON, watch.next()).await.unwrap().unwrap().unwrap_err();
    let words = error.to_string();
    assert!(words.contains("refused (404): no such token") && !words.contains(&token), "{words}");
    assert!(!backend.describe().contains(&token));
    assert!(backend.register(&entry, SOON).await.is_err(), "a token is not made by using it");
    assert!(rig.service().tokens(&key).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_answers_that_is_no_token_service_is_called_so() {
    for (answer, words) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "no array of texts"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n[\"a b\"]", "has no valid port"),
        ("HTTP/1.1 500 Oh\r\nContent-Length: 6\r\n\r\nbroken", "refused (500): broken"),
        ("HTTP/1.1 302 Found\r\nLocation: http://h/\r\nContent-Length: 0\r\n\r\n", "(302)"),
        ("SSH-2.0-OpenSSH\r\n", "invalid HTTP version"),
        ("", "does not answer"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answering = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let options = [("token.url".to_owned(), format!("http://{address}"))].into();
        let backend = swarm_discovery::Discovery::parse("token://secret", &options).unwrap();
        let error = backend.fetch().await.unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains("secret"), "{answer}: {error}");
        answering.abort();
    }
}
