//! The load driver: an HTTP client with one kept-alive connection per client.
//!
//! It reads every answer to its last byte and counts it, so that a latency is what a
//! client sees; it does not parse what it does not need.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

/// Where a Docker API is served.
#[derive(Debug, Clone)]
pub enum Endpoint {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// No single answer may take longer: a hang is a failure, not a wait.
const PATIENCE: Duration = Duration::from_mins(1);

/// One client with one connection.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// An answer read to the end without keeping it.
#[derive(Debug, Clone, Copy)]
pub struct Drained {
    pub status: StatusCode,
    pub bytes: usize,
    pub took: Duration,
}

impl Client {
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, sender: None }
    }

    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>> {
        if self.sender.as_ref().is_none_or(SendRequest::is_closed) {
            let sender = match &self.endpoint {
                Endpoint::Unix(path) => {
                    let stream = UnixStream::connect(path).await?;
                    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                    tokio::spawn(connection);
                    sender
                }
                Endpoint::Tcp(address) => {
                    let stream = TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                    tokio::spawn(connection);
                    sender
                }
            };
            self.sender = Some(sender);
        }
        self.sender.as_mut().context("no connection")
    }

    /// Sends a request; the answer's body is still to be read.
    pub async fn open(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<http::Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(path).header("host", "docker");
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(body))?;
        let sender = self.sender().await?;
        sender.ready().await?;
        Ok(sender.send_request(request).await?)
    }

    /// Sends a request and reads the answer to its end, counting bytes.
    pub async fn drain(&mut self, method: Method, path: &str, body: Bytes) -> Result<Drained> {
        let start = Instant::now();
        let whole = async {
            let reply = self.open(method, path, body).await?;
            let status = reply.status();
            let mut body = reply.into_body();
            let mut bytes = 0;
            while let Some(frame) = body.frame().await {
                bytes += frame?.data_ref().map_or(0, Bytes::len);
            }
            Ok(Drained { status, bytes, took: start.elapsed() })
        };
        tokio::time::timeout(PATIENCE, whole).await.with_context(|| format!("{path} hangs"))?
    }

    /// Sends a request and keeps the answer.
    pub async fn fetch(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes)> {
        let whole = async {
            let reply = self.open(method, path, body).await?;
            let status = reply.status();
            Ok((status, reply.into_body().collect().await?.to_bytes()))
        };
        tokio::time::timeout(PATIENCE, whole).await.with_context(|| format!("{path} hangs"))?
    }

    /// `GET path`, which must answer 200 with JSON.
    pub async fn json(&mut self, path: &str) -> Result<Value> {
        let (status, body) = self.fetch(Method::GET, path, Bytes::new()).await?;
        ensure!(status == StatusCode::OK, "{path}: {status}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).with_context(|| format!("{path}: not JSON"))
    }

    /// Creates and starts a container; the time of both together.
    pub async fn run(&mut self, name: &str) -> Result<Duration> {
        self.run_as(name, Bytes::from_static(RUN)).await
    }

    /// As [`Self::run`], with this body.
    pub async fn run_as(&mut self, name: &str, body: Bytes) -> Result<Duration> {
        let start = Instant::now();
        let path = format!("/containers/create?name={name}");
        let (status, body) = self.fetch(Method::POST, &path, body).await?;
        if status != StatusCode::CREATED {
            bail!("create {name}: {status}: {}", String::from_utf8_lossy(&body));
        }
        let id = id_of(&body).context("create answered without an Id")?;
        let path = format!("/containers/{id}/start");
        let (status, body) = self.fetch(Method::POST, &path, Bytes::new()).await?;
        if status != StatusCode::NO_CONTENT {
            bail!("start {name}: {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(start.elapsed())
    }
}

/// What the driver runs: a small container with a memory reservation, as most have.
const RUN: &[u8] = br#"{"Image":"busybox:latest","Cmd":["sleep","3600"],"Labels":{"bench":"yes"},"HostConfig":{"Memory":16777216,"RestartPolicy":{"Name":"no"}}}"#;

fn id_of(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    value.get("Id")?.as_str().map(str::to_owned)
}
