//! A backend that does what a test's closure says, a running server over it, and a raw client.
#![allow(dead_code)] // Each test binary uses its own part.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use swarm_api::{Listener, ServerOptions, serve, serve_node};
use swarm_backend::{
    Attachments, Builds, Configs, Containers, Duplex, Effect, Exchange, Images, InSwarm, Local,
    Logs, Networks, Nodes, OfNetworks, Part, Plugins, Pools, Reply, Result, Secrets, Served,
    Services, Sights, SwarmMode, Swarms, System, Tasks, Volumes, empty,
};
use swarm_docker::ApiVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::compat::TokioAsyncReadCompatExt;
use tokio_util::sync::CancellationToken;

/// What a test lets the backend do: the port's method, the object's name, the request.
pub type Act =
    dyn Fn(&'static str, String, Exchange) -> BoxFuture<'static, Result<Reply>> + Send + Sync;

pub struct Fake(pub Arc<Act>, bool);

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Fake {
    /// Answers every call with a description of it.
    pub fn describing() -> Self {
        Self(Arc::new(|call, name, exchange| Box::pin(describe(call, name, exchange))), false)
    }

    /// With a swarm behind it.
    pub fn in_swarm(self) -> Self {
        Self(self.0, true)
    }

    pub fn acting<F>(
        act: impl Fn(&'static str, String, Exchange) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Reply>> + Send + 'static,
    {
        Self(Arc::new(move |call, name, exchange| Box::pin(act(call, name, exchange))), false)
    }
}

async fn describe(call: &'static str, name: String, exchange: Exchange) -> Result<Reply> {
    let mut headers: Vec<String> =
        exchange.headers.keys().map(|name| name.as_str().to_owned()).collect();
    headers.sort();
    let path = exchange.path.with(if name.is_empty() { "" } else { "OBJECT" });
    let (query, version) = (exchange.query.encode(), exchange.version.map(|v| v.to_string()));
    let upgrade = exchange.upgrade.clone();
    let body = exchange.body.collect().await.unwrap().to_bytes();
    Reply::ok(&serde_json::json!({
        "call": call, "name": name, "path": path, "query": query, "version": version,
        "upgrade": upgrade, "headers": headers, "bytes": body.len(),
    }))
}

macro_rules! port {
    ($port:ident: $($method:ident)* ; named $($named:ident)* ; effect $($effect:ident)*
        ; named_effect $($both:ident)* $(; extra { $($extra:tt)* })?) => {
        #[async_trait]
        impl $port for Fake {
            $(async fn $method(&self, x: Exchange) -> Result<Reply> {
                (self.0)(stringify!($method), String::new(), x).await
            })*
            $(async fn $named(&self, name: &str, x: Exchange) -> Result<Reply> {
                (self.0)(stringify!($named), name.to_owned(), x).await
            })*
            $(async fn $effect(&self, x: Exchange, _: Effect) -> Result<Reply> {
                (self.0)(stringify!($effect), String::new(), x).await
            })*
            $(async fn $both(&self, name: &str, x: Exchange, _: Effect) -> Result<Reply> {
                (self.0)(stringify!($both), name.to_owned(), x).await
            })*
            $($($extra)*)?
        }
    };
}

port!(Containers: list_containers create_container prune_containers commit_container
    ; named inspect_container rename_container create_exec
    ; effect ; named_effect forward_container forward_exec);
port!(Images: list_images create_image load_images save_images search_images prune_images
    ; named tag_image remove_image distribution ; effect ; named_effect forward_image);
port!(Networks: list_networks create_network prune_networks
    ; named inspect_network connect_network disconnect_network remove_network
    ; effect ; named_effect);
port!(Volumes: list_volumes create_volume prune_volumes
    ; named inspect_volume update_volume remove_volume ; effect ; named_effect);
port!(Builds: build cancel_build prune_builds session grpc ; named ; effect ; named_effect);
port!(Pools: rebalance ; named ; effect ; named_effect);
port!(Sights: sights ; named ; effect ; named_effect);
port!(Nodes: list_nodes ; named inspect_node update_node remove_node
    ; effect ; named_effect);
port!(Plugins: list_plugins ; named ; effect install_plugin ; named_effect forward_plugin);
port!(System: version info events disk_usage auth ; named ; effect ; named_effect ; extra {
    fn served(&self) -> Served {
        let newest = ApiVersion::new(1, 41);
        Served { oldest: ApiVersion::OLDEST, newest, promised: newest }
    }
});

impl InSwarm for Fake {
    fn swarm(&self) -> Option<&dyn SwarmMode> {
        self.1.then_some(self)
    }
}

#[async_trait]
impl SwarmMode for Fake {
    fn swarm_part(&self) -> Part {
        Part::Manager
    }

    fn swarm_info(&self) -> Result<bytes::Bytes> {
        Ok("{}".into())
    }

    fn with_events(&self, _: &swarm_docker::Query, reply: Reply) -> Result<Reply> {
        Ok(reply)
    }

    async fn networks_of(&self, _: OfNetworks<'_>, x: Exchange, _: &dyn Local) -> Result<Reply> {
        (self.0)("networks_of", String::new(), x).await
    }
}

port!(Swarms: inspect_swarm init_swarm join_swarm leave_swarm update_swarm unlock_key unlock_swarm
    backup_swarm swarm_ways
    ; named ; effect ; named_effect);
port!(Services: list_services create_service ; named inspect_service update_service remove_service
    ; effect ; named_effect);
port!(Tasks: list_tasks ; named inspect_task ; effect ; named_effect);
port!(Logs: ; named service_logs task_logs ; effect ; named_effect);
port!(Secrets: list_secrets create_secret ; named inspect_secret update_secret remove_secret
    ; effect ; named_effect);
port!(Configs: list_configs create_config ; named inspect_config update_config remove_config
    ; effect ; named_effect);
port!(Attachments: list_networks create_network ; named inspect_network remove_network
    ; effect ; named_effect);
port!(Local: pass node_info node_events ; named ; effect ; named_effect ; extra {
    fn served(&self) -> Served {
        System::served(self)
    }
    fn part(&self) -> Part {
        Part::Worker
    }
});

/// As [`run`], the endpoint that is one node's engine with swarm mode built in.
pub async fn run_node(fake: Fake) -> Running {
    let listener = Listener::tcp("127.0.0.1:0", None).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let options = ServerOptions { version: "9.9.9".to_owned(), ..ServerOptions::default() };
    let served = tokio::spawn(serve_node(vec![listener], Arc::new(fake), options, stop.clone()));
    Running { address, stop, served }
}

pub struct Running {
    pub address: SocketAddr,
    pub stop: CancellationToken,
    pub served: JoinHandle<()>,
}

pub async fn run(fake: Fake) -> Running {
    run_with(fake, ServerOptions { version: "9.9.9".to_owned(), ..ServerOptions::default() }).await
}

pub async fn run_with(fake: Fake, options: ServerOptions) -> Running {
    run_on(Listener::tcp("127.0.0.1:0", None).await.unwrap(), fake, options)
}

pub fn run_on(listener: Listener, fake: Fake, options: ServerOptions) -> Running {
    let address = listener.local_addr().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve(vec![listener], Arc::new(fake), options, stop.clone()));
    Running { address, stop, served }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_else(|| panic!("no message: {self:?}")).to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Running {
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request line, further header lines and a body; reads the whole answer.
    pub async fn ask(&self, line: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(&request(line, headers, body)).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        parse(&answer)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], b"").await
    }
}

pub fn request(line: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{line} HTTP/1.1\r\nHost: pool\r\n");
    if !headers.iter().any(|header| header.starts_with("Connection")) {
        request.push_str("Connection: close\r\n");
    }
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    if !body.is_empty() {
        let length = body.len().to_string();
        request.push_str(&["Content-Length: ", &length, "\r\n"].concat());
    }
    request.push_str("\r\n");
    [request.as_bytes(), body].concat()
}

pub fn parse(answer: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Answer { status, headers, body: body.to_owned() }
}

/// Reads an answer's head from a connection that goes on.
pub async fn read_head(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    parse(&head)
}

/// The headers that ask for an upgrade.
pub const UPGRADE: [&str; 2] = ["Connection: Upgrade", "Upgrade: tcp"];

/// A fake engine that accepts every upgrade; its ends of the raw connections come out here.
pub fn upgrading() -> (Fake, mpsc::UnboundedReceiver<(DuplexStream, Option<String>, usize)>) {
    let (out, engines) = mpsc::unbounded_channel();
    let fake = Fake::acting(move |_, _, exchange: Exchange| {
        let out = out.clone();
        async move {
            let upgrade = exchange.upgrade.clone();
            let sent = exchange.body.collect().await.unwrap().to_bytes().len();
            let (ours, theirs) = duplex(64);
            out.send((ours, upgrade, sent)).unwrap();
            let mut headers = HeaderMap::new();
            let raw = HeaderValue::from_static("application/vnd.docker.raw-stream");
            headers.insert("content-type", raw);
            let theirs: Box<dyn Duplex> = Box::new(theirs.compat());
            Ok(Reply {
                status: StatusCode::SWITCHING_PROTOCOLS,
                headers,
                body: empty(),
                upgraded: Some(Box::pin(async { Ok(theirs) })),
            })
        }
    });
    (fake, engines)
}
