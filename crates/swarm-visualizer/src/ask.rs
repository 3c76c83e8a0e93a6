//! Questions to the Docker API under the page: one object's document, and a change of it.
//!
//! Invariant: every question has a deadline until its answer begins; what a person named stays one part of
//! the path.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt;
use serde_json::Value;
use swarm_backend::{ApiError, Body, ObjectPath, Onward, Reply, Result, empty, full};

use crate::Backend;

/// How long an engine may take until its answer begins.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of an answer that is read whole.
const DOCUMENT: usize = 16 << 20;

/// A kind of object that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A container.
    Container,
    /// A task.
    Task,
    /// A service.
    Service,
    /// A node.
    Node,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// A secret of a swarm; nobody is told what is in it.
    Secret,
    /// A config of a swarm.
    Config,
}

impl Kind {
    /// By the first part of a path, here and in the Docker API, where containers have their document
    /// one step further down.
    pub fn read(word: &str) -> Option<Self> {
        match word {
            "containers" => Some(Self::Container),
            "tasks" => Some(Self::Task),
            "services" => Some(Self::Service),
            "nodes" => Some(Self::Node),
            "networks" => Some(Self::Network),
            "volumes" => Some(Self::Volume),
            "secrets" => Some(Self::Secret),
            "configs" => Some(Self::Config),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Container => "containers",
            Self::Task => "tasks",
            Self::Service => "services",
            Self::Node => "nodes",
            Self::Network => "networks",
            Self::Volume => "volumes",
            Self::Secret => "secrets",
            Self::Config => "configs",
        }
    }

    /// Whether all of this kind are listed: what is on the board is in the feed.
    pub fn is_listed(self) -> bool {
        matches!(self, Self::Network | Self::Volume | Self::Secret | Self::Config)
    }

    /// The path of the list of all of this kind.
    pub fn list(self) -> String {
        format!("/{}", self.word())
    }

    /// Whether it writes anything.
    pub fn has_output(self) -> bool {
        matches!(self, Self::Container | Self::Task | Self::Service)
    }

    /// The path of an object, with what is asked of it behind.
    pub fn path(self, name: &str, after: &str) -> String {
        let before = format!("/{}/", self.word());
        ObjectPath { before, after: after.to_owned() }.with(name)
    }

    /// The path of an object's document.
    pub fn document(self, name: &str) -> String {
        self.path(name, if self == Self::Container { "/json" } else { "" })
    }
}

/// Asks, with a document where there is one.
pub async fn send(
    backend: &Backend,
    method: Method,
    target: String,
    document: Option<&Value>,
    deadline: Duration,
) -> Result<Reply> {
    let mut headers = HeaderMap::new();
    if document.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let reads = method == Method::GET;
    let body = document.map_or_else(empty, |document| full(document.to_string()));
    let request = Onward { method, target, headers, upgrade: None, body, reads };
    let asked = tokio::time::timeout(deadline, backend.api.ask(request)).await;
    asked.map_err(|_| ApiError::deadline(format!("no answer within {deadline:?}")))?
}

/// Asks for something.
pub async fn get(backend: &Backend, target: String) -> Result<Reply> {
    send(backend, Method::GET, target, None, DEADLINE).await
}

/// A document; a refusal is an error in its own words.
pub async fn document(backend: &Backend, target: String) -> Result<Value> {
    let reply = accepted(get(backend, target).await?).await?;
    serde_json::from_slice(&in_time(reply.body).await?)
        .map_err(|error| ApiError::system(format!("the answer is no JSON: {error}")))
}

/// An answer that is no refusal.
pub async fn accepted(reply: Reply) -> Result<Reply> {
    if reply.status.is_success() || reply.status == http::StatusCode::NOT_MODIFIED {
        return Ok(reply);
    }
    let status = reply.status;
    let body = in_time(reply.body).await.unwrap_or_default();
    let said = serde_json::from_slice::<Value>(&body).ok();
    let said = said.and_then(|said| said["message"].as_str().map(str::to_owned));
    Err(ApiError::engine(status.as_u16(), said.unwrap_or_else(|| status.to_string())))
}

/// A whole body, of which all is there soon.
async fn in_time(body: Body) -> Result<Bytes> {
    let read = tokio::time::timeout(DEADLINE, whole(body)).await;
    read.map_err(|_| ApiError::deadline(format!("the answer stopped within {DEADLINE:?}")))?
}

/// A whole body, within a bound.
pub async fn whole(mut body: Body) -> Result<Bytes> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| ApiError::unavailable(format!("the answer broke off: {error}")))?;
        if let Ok(data) = frame.into_data() {
            if whole.len() + data.len() > DOCUMENT {
                let words = format!("the answer is larger than {DOCUMENT} bytes");
                return Err(ApiError::too_large(words));
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}
