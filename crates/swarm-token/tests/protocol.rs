//! The service from outside, as HTTP bytes on a real connection: what classic's clients know, what
//! is ours beside it, and what is refused.
#![allow(clippy::unwrap_used)] // A test's helpers may fail as its tests may.

use std::time::Duration;

use swarm_listen::Door;
use swarm_token::{Limits, OwnerKey, Service, ServiceConfig, serve};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Far more than anything here takes, on a busy machine too.
const SOON: Duration = Duration::from_secs(20);

struct Running {
    folder: TempDir,
    address: String,
    key: String,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Running {
    async fn start(limits: Limits) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), limits).await
    }

    async fn start_in(folder: TempDir, limits: Limits) -> Self {
        let owner = OwnerKey::of_directory(folder.path()).unwrap();
        let key = owner.reveal().to_owned();
        let directory = folder.path().to_owned();
        let expire = Duration::from_hours(720);
        let config = ServiceConfig { directory, expire, owner, limits };
        let (service, written) = Service::open(config).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let serving = tokio::spawn(async move {
            serve(service, vec![Door { listener, tls: None }], stopping).await;
            written.await.unwrap();
        });
        Self { folder, address, key, stop, serving }
    }

    async fn end(self) -> TempDir {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.serving).await.unwrap().unwrap();
        self.folder
    }

    async fn raw(&self, bytes: &[u8]) -> Reply {
        let asked = async {
            let mut stream = TcpStream::connect(&self.address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = tokio::time::timeout(SOON, asked).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }

    async fn ask(&self, line: &str, more: &str, body: &str) -> Reply {
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}Content-Length: {length}\r\n\r\n{body}"
        );
        self.raw(request.as_bytes()).await
    }

    async fn owner(&self, line: &str, body: &str) -> Reply {
        self.ask(line, &format!("Authorization: Bearer {}\r\n", self.key), body).await
    }

    async fn token(&self) -> String {
        self.ask("POST /v1/clusters", "", "").await.body
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_speaks_as_the_public_service_did() {
    let running = Running::start(Limits::default()).await;
    let made = running.ask("POST /v1/clusters", "", "").await;
    assert_eq!(made.status, 200);
    let token = made.body;
    assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");

    let path = format!("/v1/clusters/{token}");
    let set = running.ask(&format!("GET {path}"), "", "").await;
    assert_eq!((set.status, &*set.body), (200, "[]"));
    assert_eq!(set.header("content-type"), Some("application/json"));
    for address in ["10.0.0.2:2375", "10.0.0.1:2375", "10.0.0.2:2375"] {
        let done = running.ask(&format!("POST {path}?ttl=180"), "", address).await;
        assert_eq!((done.status, &*done.body), (200, "OK"));
    }
    let set = running.ask(&format!("GET {path}"), "", "").await;
    assert_eq!(set.body, r#"["10.0.0.1:2375","10.0.0.2:2375"]"#);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_ends_the_wait_and_none_costs_no_set() {
    let running = Running::start(Limits::default()).await;
    let path = format!("/v1/clusters/{}", running.token().await);
    let set = running.ask(&format!("GET {path}"), "", "").await;
    let index = set.header("x-swarm-index").unwrap().to_owned();
    let same = running.ask(&format!("GET {path}?index={index}&wait=1s"), "", "").await;
    assert_eq!((same.status, &*same.body), (304, ""));
    assert_eq!(same.header("x-swarm-index"), Some(&*index));

    let line = format!("GET {path}?index={index}&wait=5m");
    let (changed, done) = tokio::join!(running.ask(&line, "", ""), async {
        running.ask(&format!("POST {path}"), "", "[::1]:2375").await
    });
    assert_eq!((changed.status, &*changed.body), (200, r#"["[::1]:2375"]"#));
    assert_eq!(done.status, 200);
    let node = format!("{path}/%5B::1%5D:2375");
    let state = running.ask(&format!("GET {node}"), "", "").await.body;
    assert!(state.starts_with(r#"{"state":"registered","ttl":180,"renewed_ms":"#), "{state}");
    for _ in 0..2 {
        assert_eq!(running.ask(&format!("DELETE {node}"), "", "").await.status, 200);
    }
    assert_eq!(running.ask(&format!("GET {node}"), "", "").await.body, r#"{"state":"left"}"#);
    assert_eq!(running.ask(&format!("GET {path}"), "", "").await.body, "[]");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_sees_sets_and_removes_tokens_and_nobody_else_does() {
    let running = Running::start(Limits::default()).await;
    let token = running.token().await;
    let path = format!("/v1/clusters/{token}");
    for line in ["GET /v1/clusters", &format!("DELETE {path}"), &format!("PUT {path}")] {
        for key in ["", "Authorization: Bearer 0\r\n", "Authorization: Basic x\r\n"] {
            let refused = running.ask(line, key, "[]").await;
            assert_eq!(refused.status, 401, "{line}");
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
            assert!(refused.body.contains("for the owner") && !refused.body.contains(&token));
        }
    }
    let put = running.owner(&format!("PUT {path}?ttl=60"), r#"["b:1","a:1"]"#).await;
    assert_eq!(put.status, 200);
    let list = running.owner("GET /v1/clusters", "").await.body;
    let start = format!(r#"[{{"token":"{token}","nodes":["a:1","b:1"],"created":"20"#);
    assert!(list.starts_with(&start) && list.contains(r#""expires":"20"#), "{list}");
    for body in ["{}", "[1]", "[\"a\"]", "not json"] {
        let refused = running.owner(&format!("PUT {path}"), body).await;
        assert_eq!(refused.status, 400, "{body}");
    }
    assert_eq!(running.owner(&format!("DELETE {path}"), "").await.status, 200);
    assert_eq!(running.owner(&format!("DELETE {path}"), "").await.status, 404);
    assert_eq!(running.owner("GET /v1/clusters", "").await.body, "[]");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_said_in_one_sentence() {
    let limits = Limits { nodes_per_cluster: 1, creations: 3, clusters: 2, ..Limits::default() };
    let running = Running::start(limits).await;
    let path = format!("/v1/clusters/{}", running.token().await);
    let unknown = format!("/v1/clusters/{}", "0".repeat(32));
    let add = format!("POST {path}");
    assert_eq!(running.ask(&add, "", "a:1").await.status, 200);
    let long = "a".repeat(1_100);
    for (line, body, status, words) in [
        (add.as_str(), "b:1", 507, "1 engines are registered, as many as a token takes"),
        (&add, "", 400, "expected HOST:PORT"),
        (&add, "http://a:1", 400, "expected HOST:PORT"),
        (&add, &long, 413, "larger than 1024 bytes"),
        (&format!("POST {path}?ttl=0"), "a:1", 400, "ttl: expected seconds"),
        (&format!("GET {path}?index=-1"), "", 400, "index: expected a whole number"),
        (&format!("GET {unknown}"), "", 404, "no such token"),
        (&format!("POST {unknown}"), "a:1", 404, "make one with 'swarm create'"),
        (&format!("DELETE {unknown}/a:1"), "", 404, "no such token"),
        ("GET /v1/clusters/TEST_TOKEN", "", 404, "no such token"),
        ("GET /nothing", "", 404, "GET / tells what there is"),
        ("PATCH /v1/clusters", "", 405, "this takes GET, POST"),
        ("POST /v1/clusters", "", 200, ""),
        ("POST /v1/clusters", "", 507, "2 tokens, as many as it takes"),
        ("POST /v1/clusters", "", 429, "try again in"),
    ] {
        let reply = running.ask(line, "", body).await;
        assert_eq!(reply.status, status, "{line}: {}", reply.body);
        assert!(reply.body.contains(words), "{line}: {}", reply.body);
        assert!(reply.status == 200 || reply.body.lines().count() == 1);
    }
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert_eq!(running.raw(head.as_bytes()).await.status, 431);
    assert_eq!(running.raw(b"\x16\x03\x01 nonsense\r\n\r\n").await.status, 400);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_help_asks_for_nothing_outside() {
    let running = Running::start(Limits::default()).await;
    let page = running.ask("GET /", "", "").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("swarm create") && page.body.contains("/v1/clusters/TOKEN"));
    assert!(!page.body.contains("src=") && !page.body.contains("href="), "no outside request");
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let head = running.ask("HEAD /", "", "").await;
    assert_eq!((head.status, &*head.body), (200, ""));
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_outlives_the_service() {
    let running = Running::start(Limits::default()).await;
    let path = format!("/v1/clusters/{}", running.token().await);
    running.ask(&format!("POST {path}"), "", "a:1").await;
    let set = running.ask(&format!("GET {path}"), "", "").await;
    // One who waits when it ends is answered, and does not hold it up.
    let mut waiting = TcpStream::connect(&running.address).await.unwrap();
    let index = set.header("x-swarm-index").unwrap();
    let line = format!("GET {path}?index={index}&wait=10m HTTP/1.1\r\nHost: x\r\n\r\n");
    waiting.write_all(line.as_bytes()).await.unwrap();
    // The service has seen it once it answers another one behind it.
    running.ask("GET /", "", "").await;
    let folder = running.end().await;
    let mut answer = String::new();
    let _ = waiting.read_to_string(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 304"), "{answer}");

    let again = Running::start_in(folder, Limits::default()).await;
    assert_eq!(again.ask(&format!("GET {path}"), "", "").await.body, r#"["a:1"]"#);
    again.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn few_free_places_end_kept_connections() {
    let running = Running::start(Limits { connections: 4, ..Limits::default() }).await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(&running.address).await.unwrap();
        stream.write_all(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 8];
        stream.read_exact(&mut first).await.unwrap();
        kept.push(stream);
    }
    // The listener holds the fourth place while it waits: this one is the last, and is not kept.
    let reply = running.raw(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(reply.header("connection"), Some("close"));
    running.end().await;
}
