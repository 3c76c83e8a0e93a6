//! The manager that a command asks, found as the docker command finds its own: `-H`, `DOCKER_HOST`, the
//! context in use, the usual address; with TLS by flags, by `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`, or
//! by the context.
//!
//! Invariant: every request has a deadline until its answer begins; a refusal is shown in the
//! manager's own words.

use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::BodyExt;
use serde_json::Value;
use swarm_backend::{Body, Reply, full};
use swarm_engine::{
    ClientOptions, EngineAddress, EngineClient, Outgoing, TlsClient, TlsFiles, read_body, refusal,
};

use super::context;
use crate::cli::ManagerFlags;
use crate::config::{Env, docker_certificates, set};
use crate::usage::UsageError;

/// Where `swarm manage` listens unless told otherwise.
const OF_MANAGE: &str = "127.0.0.1:2375";
/// Where `swarm daemon` does.
pub const OF_DAEMON: &str = "/run/swarm/docker.sock";
/// How long this machine may take to say whether somebody listens.
const LOCAL_DEADLINE: Duration = Duration::from_millis(300);
/// How long a manager may take until it answers: taking an engine out may take it a while.
const DEADLINE: Duration = Duration::from_mins(1);
/// How this program calls itself in `Server`.
const OUR_SERVER: &[u8] = b"Swarm/";
/// Largest answer.
const LARGEST: usize = 64 << 20;

/// A manager to ask.
pub struct Manager {
    client: EngineClient,
    address: String,
    /// Whether what answered last is this program.
    ours: AtomicBool,
}

impl Manager {
    /// The one that flags or environment name. Nothing is asked yet.
    pub fn new(flags: &ManagerFlags, env: Env<'_>) -> anyhow::Result<Self> {
        Self::usually(flags, env, usual)
    }

    /// The same, with another address where none is named.
    pub fn usually(
        flags: &ManagerFlags,
        env: Env<'_>,
        usual: impl FnOnce() -> String,
    ) -> anyhow::Result<Self> {
        let (flag, address, context) = match (&flags.host, set(env, "DOCKER_HOST")) {
            (Some(host), _) => ("--host".to_owned(), host.clone(), None),
            (None, Some(host)) => ("DOCKER_HOST".to_owned(), host, None),
            (None, None) => match context::in_use(env)? {
                Some(place) => (place.named_by.clone(), place.host.clone(), Some(place)),
                None => ("--host".to_owned(), usual(), None),
            },
        };
        // A context's certificates are its own, also where it has none; flags go before all.
        let files = match context {
            Some(place) if !flags.tls && !flags.tlsverify => place.files(),
            _ => tls_files(flags, env)?,
        };
        let port = if files.is_some() { swarm_engine::TLS_PORT } else { swarm_engine::PLAIN_PORT };
        let text = address.strip_prefix("tcp://").unwrap_or(&address);
        let parsed = EngineAddress::parse(text.trim_end_matches('/'), port).map_err(|error| {
            let problem = format!("{error}; expected tcp://HOST:PORT or unix:///PATH");
            UsageError::value(&flag, &address, problem)
        })?;
        let tls = files.map(TlsClient::load).transpose().context("TLS towards the manager")?;
        let options = ClientOptions { tls, ..ClientOptions::default() };
        Ok(Self {
            client: EngineClient::new(parsed, options),
            address,
            ours: AtomicBool::new(false),
        })
    }

    /// The client, for whoever asks in ways of his own.
    pub fn into_client(self) -> EngineClient {
        self.client
    }

    /// Whether what answered last is this program, and no engine.
    pub fn is_ours(&self) -> bool {
        self.ours.load(Ordering::Relaxed)
    }

    /// Asks; the answer's JSON, or nothing where it has none.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let reply = self.begin(method, path, body).await?;
        let body = read_body(reply.body, LARGEST).await.context(self.address.clone())?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("{}: its answer is no JSON; is it a manager?", self.address))
    }

    /// Asks, and gives the answer's lines as they come.
    pub async fn lines(&self, method: Method, path: &str) -> anyhow::Result<Lines> {
        let reply = self.begin(method, path, None).await?;
        Ok(Lines { body: reply.body, waiting: Vec::new() })
    }

    /// Asks with a document, and gives the answer's bytes as they come.
    pub async fn bytes(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Body> {
        Ok(self.begin(method, path, Some(body)).await?.body)
    }

    async fn begin(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Reply> {
        let mut headers = HeaderMap::new();
        if body.is_some() {
            let json = HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
        }
        let request = Outgoing {
            method,
            path_and_query: path.to_owned(),
            version: None,
            headers,
            body: full(body.map_or_else(Bytes::new, |body| body.to_string().into())),
            upgrade: None,
        };
        let reply = self.client.send(request, Some(DEADLINE)).await;
        let reply =
            reply.with_context(|| format!("cannot reach the manager at {}", self.address))?;
        let server = reply.headers.get(header::SERVER).map_or(&b""[..], HeaderValue::as_bytes);
        self.ours.store(server.starts_with(OUR_SERVER), Ordering::Relaxed);
        if reply.status.is_success() {
            return Ok(reply);
        }
        let status = reply.status;
        let error = refusal(reply).await.to_api(&self.address);
        if status == http::StatusCode::NOT_FOUND && error.message == "page not found" {
            if !self.is_ours() {
                bail!("{} is a Docker Engine, and no manager; name one with -H", self.address);
            }
            bail!("{} knows no such request: it is no manager of this version", self.address);
        }
        bail!("{}", error.message)
    }
}

/// The usual address: a manager's on this machine, or where only `swarm daemon` is there, its socket.
fn usual() -> String {
    let listens = OF_MANAGE
        .parse()
        .is_ok_and(|address| TcpStream::connect_timeout(&address, LOCAL_DEADLINE).is_ok());
    if !listens && Path::new(OF_DAEMON).exists() {
        return format!("unix://{OF_DAEMON}");
    }
    format!("tcp://{OF_MANAGE}")
}

/// An answer line by line.
pub struct Lines {
    body: Body,
    waiting: Vec<u8>,
}

impl Lines {
    /// The next line; `None` at the end.
    pub async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            if let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.waiting.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line).context("a line of the answer")?));
            }
            let Some(frame) = self.body.frame().await else { break };
            let frame = frame.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
            if let Some(data) = frame.data_ref() {
                if self.waiting.len() + data.len() > LARGEST {
                    bail!("a line of the answer is longer than {LARGEST} bytes");
                }
                self.waiting.extend_from_slice(data);
            }
        }
        if self.waiting.is_empty() {
            return Ok(None);
        }
        let rest = std::mem::take(&mut self.waiting);
        Ok(Some(serde_json::from_slice(&rest).context("the answer")?))
    }
}

/// The files of TLS, where it is wanted.
pub fn tls_files(flags: &ManagerFlags, env: Env<'_>) -> Result<Option<TlsFiles>, UsageError> {
    let given = flags.tlscacert.is_some() || flags.tlscert.is_some() || flags.tlskey.is_some();
    let usual = docker_certificates(env);
    if !flags.tls && !flags.tlsverify {
        if given {
            return Err(UsageError::flags(
                "--tlscert, --tlskey and --tlscacert require --tls or --tlsverify",
            ));
        }
        return Ok(set(env, "DOCKER_TLS_VERIFY").and(usual));
    }
    let usual = usual.unwrap_or(TlsFiles { ca: None, cert: None, key: None, verify: false });
    let files = TlsFiles {
        ca: flags.tlscacert.as_ref().map(Into::into).or(usual.ca).filter(|_| flags.tlsverify),
        cert: flags.tlscert.as_ref().map(Into::into).or(usual.cert),
        key: flags.tlskey.as_ref().map(Into::into).or(usual.key),
        verify: flags.tlsverify,
    };
    if flags.tlsverify && files.ca.is_none() {
        return Err(UsageError::flags(
            "--tlsverify needs --tlscacert, or DOCKER_CERT_PATH with a ca.pem",
        ));
    }
    Ok(Some(files))
}

/// A name as part of a path.
pub fn in_path(name: &str) -> String {
    swarm_backend::ObjectPath::default().with(name)
}
