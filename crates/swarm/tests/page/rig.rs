//! A manager with its page over simulated engines, and clients that read it as a browser does.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use swarm_backend::full;
use swarm_engine::{ClientOptions, EngineAddress, EngineClient, Outgoing, read_body};
use swarm_testkit::fleet::{Fleet, FleetConfig};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::daemon::Daemon;

/// Far more than anything here takes, on a busy machine too.
pub const SOON: Duration = Duration::from_secs(20);

pub struct Rig {
    pub fleet: Fleet,
    pub page: String,
    daemon: Daemon,
    client: EngineClient,
}

impl Rig {
    /// All engines are healthy when this returns.
    pub async fn of(engines: usize, containers: usize) -> Self {
        Self::with(engines, containers, &[]).await
    }

    /// A page that acts, over empty engines.
    pub async fn acting(engines: usize) -> Self {
        Self::with(engines, 0, &["--ui-write"]).await
    }

    async fn with(engines: usize, containers: usize, more: &[&str]) -> Self {
        let config =
            FleetConfig { engines, containers_per_engine: containers, ..FleetConfig::default() };
        let fleet = Fleet::start(config).await.unwrap();
        let list: Vec<_> = fleet.addresses().iter().map(ToString::to_string).collect();
        let list = list.join(",");
        let arguments = ["manage", "-H", "tcp://127.0.0.1:0", "--ui", "127.0.0.1:0"];
        let daemon = Daemon::start(&[&arguments[..], more, &[&list]].concat(), &[]);
        let address: EngineAddress = daemon.tcp_address().await.parse().unwrap();
        let client = EngineClient::new(address, ClientOptions::default());
        let page = page_of(&daemon, "http").await;
        let rig = Self { fleet, page, daemon, client };
        rig.state(|state| {
            let nodes = state["nodes"].as_array().unwrap();
            nodes.len() == engines && nodes.iter().all(|node| node["state"] == "healthy")
        })
        .await;
        rig
    }

    /// What the manager said so far.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// The state, once it is as wanted.
    pub async fn state(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + SOON;
        loop {
            let (status, body) = get(&self.page, "/api/state", &[]).await;
            assert_eq!(status, 200, "{body}");
            let state: Value = serde_json::from_str(&body).unwrap();
            if wanted(&state) {
                return state;
            }
            assert!(Instant::now() < end, "{state:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A request to the Docker API that must succeed.
    pub async fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut outgoing = Outgoing::get(path);
        outgoing.method = Method::from_bytes(method.as_bytes()).unwrap();
        if !body.is_null() {
            outgoing.headers.insert("content-type", "application/json".parse().unwrap());
            outgoing.body = full(body.to_string());
        }
        let reply = self.client.send(outgoing, Some(SOON)).await.unwrap();
        let status = reply.status;
        let body = read_body(reply.body, 1 << 24).await.unwrap();
        assert!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or(Value::Null)
    }

    pub async fn run(&self, name: &str, body: Value) {
        self.api("POST", &format!("/containers/create?name={name}"), &body).await;
        self.api("POST", &format!("/containers/{name}/start"), &Value::Null).await;
    }

    /// The path of an update of a node as it is now.
    pub async fn update(&self, node: &str) -> String {
        let end = Instant::now() + SOON;
        loop {
            let found = self.api("GET", &format!("/nodes/{node}"), &Value::Null).await;
            let version = found["Version"]["Index"].as_i64().unwrap();
            if version > 0 {
                return format!("/nodes/{node}/update?version={version}");
            }
            assert!(Instant::now() < end, "{node} has no version");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Where the page is, as the log says: the port was the system's choice.
pub async fn page_of(daemon: &Daemon, scheme: &str) -> String {
    let words = format!("the page is at {scheme}://");
    daemon.wait_for(&words).await;
    let log = daemon.log();
    log.split(&words).nth(1).unwrap().split('/').next().unwrap().to_owned()
}

/// A request on a connection of its own: status, and everything after it, head included where
/// `headers` ask for `Want: head`.
pub async fn get(page: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    ask("GET", page, path, headers).await
}

pub async fn ask(method: &str, page: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    exchange(method, page, path, headers, "").await
}

/// Sends something to be done.
pub async fn send(page: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    exchange("POST", page, path, headers, body).await
}

async fn exchange(
    method: &str,
    page: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(page).await.unwrap();
    let mut head = format!("{method} {path} HTTP/1.0\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head.push_str(&["Host: ", page, "\r\n"].concat());
    }
    for (name, value) in headers {
        head.push_str(&[name, ": ", value, "\r\n"].concat());
    }
    if !body.is_empty() {
        let length = body.len().to_string();
        head.push_str(&["Content-Length: ", &length, "\r\n"].concat());
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let want_head = headers.iter().any(|(name, _)| *name == "Want");
    (status, if want_head { head.to_owned() } else { body.to_owned() })
}

/// A stream of server-sent events, read as a browser does.
pub struct Stream {
    lines: tokio::io::Lines<BufReader<TcpStream>>,
    /// The last id.
    pub last: String,
}

impl Stream {
    /// The pool's stream; `last` is where it was.
    pub async fn open(page: &str, last: &str) -> Self {
        Self::of(page, "/api/stream", last).await
    }

    pub async fn of(page: &str, path: &str, last: &str) -> Self {
        let mut stream = TcpStream::connect(page).await.unwrap();
        let id = if last.is_empty() { String::new() } else { format!("Last-Event-ID: {last}\r\n") };
        let request = format!("GET {path} HTTP/1.0\r\nHost: {page}\r\n{id}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let status = lines.next_line().await.unwrap().unwrap();
        assert!(status.contains(" 200 "), "{status}");
        while lines.next_line().await.unwrap().is_some_and(|line| !line.is_empty()) {}
        Self { lines, last: last.to_owned() }
    }

    /// The next event: its name and data.
    async fn next(&mut self) -> (String, Value) {
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let line = self.lines.next_line().await.unwrap().unwrap();
            if let Some(id) = line.strip_prefix("id: ") {
                id.clone_into(&mut self.last);
            } else if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut name);
            } else if let Some(text) = line.strip_prefix("data: ") {
                text.clone_into(&mut data);
            } else if line.is_empty() && !name.is_empty() {
                return (name, serde_json::from_str(&data).unwrap());
            }
        }
    }

    /// Reads until `wanted` gives something.
    pub async fn until(&mut self, mut wanted: impl FnMut(&str, &Value) -> Option<Value>) -> Value {
        let read = async {
            loop {
                let (name, data) = self.next().await;
                if let Some(found) = wanted(&name, &data) {
                    return found;
                }
            }
        };
        tokio::time::timeout(SOON, read).await.unwrap()
    }

    /// A whole beginning: its id, and the containers in it.
    pub async fn beginning(&mut self) -> (String, Vec<Value>) {
        let mut containers = Vec::new();
        let mut announced = json!(null);
        self.until(|event, data| {
            match event {
                "begin" => announced = data["containers"].clone(),
                "part" => containers.extend(data.as_array().unwrap().iter().cloned()),
                _ => {}
            }
            (event == "ready").then(|| json!(true))
        })
        .await;
        assert_eq!(announced, json!(containers.len()));
        (self.last.clone(), containers)
    }
}
