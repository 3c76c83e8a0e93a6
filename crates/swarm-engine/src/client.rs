//! One engine's client: the calls the pool makes.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use swarm_backend::{Body, Reply};
use swarm_docker::ApiVersion;

use crate::{ClientOptions, EngineAddress, EngineError, EventLines, EventTime};

/// The API versions an engine and this build both speak, and the engine's release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineVersion {
    /// The oldest both speak.
    pub oldest: ApiVersion,
    /// The newest both speak.
    pub newest: ApiVersion,
    /// The engine's release, such as `20.10.24`.
    pub server: String,
}

/// A request to an engine.
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// The path without a version, and its encoded query: `/containers/json?all=1`.
    pub path_and_query: String,
    /// The version the client asked for, brought into the engine's range; `None` is the newest both
    /// speak.
    pub version: Option<ApiVersion>,
    /// Passed on, but for the hop-by-hop ones, `Host`, and `Expect`.
    pub headers: HeaderMap,
    /// Streamed.
    pub body: Body,
    /// The protocol to upgrade to.
    pub upgrade: Option<String>,
}

/// The client of one engine. Cheap to clone; clones share connections and the negotiated version.
#[derive(Debug, Clone)]
pub struct EngineClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    address: EngineAddress,
    options: ClientOptions,
}

impl EngineClient {
    /// A client; nothing is connected yet.
    pub fn new(address: EngineAddress, options: ClientOptions) -> Self {
        Self { inner: Arc::new(Inner { address, options }) }
    }

    /// Where the engine is.
    pub fn address(&self) -> &EngineAddress {
        let _ = &self.inner.options;
        &self.inner.address
    }

    /// Asks `GET /version` and remembers the range of API versions both speak.
    pub async fn negotiate(&self, deadline: Duration) -> Result<EngineVersion, EngineError> {
        let _ = deadline;
        todo!()
    }

    /// What `negotiate` found last.
    pub fn versions(&self) -> Option<EngineVersion> {
        todo!()
    }

    /// `GET /_ping` on a connection of its own: answered within `deadline`, or an error.
    pub async fn ping(&self, deadline: Duration) -> Result<(), EngineError> {
        let _ = deadline;
        todo!()
    }

    /// Sends a request; returns at the reply's headers, whatever their status.
    pub async fn send(
        &self,
        request: Outgoing,
        deadline: Option<Duration>,
    ) -> Result<Reply, EngineError> {
        let _ = (request, deadline);
        todo!()
    }

    /// `GET` and read JSON; an error status is [`EngineError::Status`].
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        path_and_query: &str,
        deadline: Duration,
    ) -> Result<T, EngineError> {
        let _ = (path_and_query, deadline);
        todo!()
    }

    /// `GET` a body of at most `limit` bytes; an error status is [`EngineError::Status`].
    pub async fn get_bytes(
        &self,
        path_and_query: &str,
        limit: usize,
        deadline: Duration,
    ) -> Result<Bytes, EngineError> {
        let _ = (path_and_query, limit, deadline);
        todo!()
    }

    /// Opens the engine's event stream on a connection of its own.
    pub async fn events(&self, since: Option<EventTime>) -> Result<EventLines, EngineError> {
        let _ = since;
        todo!()
    }

    /// Breaks every connection open now, streams and upgraded ones too: for an engine known to be
    /// silent. Later calls connect anew.
    pub fn sever(&self) {
        todo!()
    }
}
