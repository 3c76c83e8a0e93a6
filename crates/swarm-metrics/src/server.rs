//! `GET /metrics`, on a listener of its own.
//!
//! Invariants: a reader that stalls costs a place for [`Bounds::longest`] and nothing else; one answer
//! is made at a time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use prometheus_client::registry::Registry;
use swarm_listen::{Bounds, Door, Visit};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::format::Format;

/// A few readers that ask every minute or so, and a person; a reader that takes nothing of its answer
/// is cut.
const BOUNDS: Bounds = Bounds {
    connections: 32,
    idle: Duration::from_mins(2),
    longest: Some(Duration::from_mins(10)),
    drain: Duration::ZERO,
};

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on tcp://{address} for metrics: {source}")]
pub struct BindError {
    /// As given.
    address: String,
    /// Why.
    #[source]
    source: io::Error,
}

/// A bound address that serves nothing yet.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
}

impl MetricsServer {
    /// Listens on `HOST:PORT`.
    pub async fn bind(address: &str) -> Result<Self, BindError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| BindError { address: address.to_owned(), source })?;
        Ok(Self { listener })
    }

    /// The address really listened on.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves what is registered until `stop`; then everything is cut.
    pub async fn serve(self, registry: Registry, stop: CancellationToken) {
        let told = Arc::new(Told { registry, turn: Semaphore::new(1) });
        let doors = vec![Door { listener: self.listener, tls: None }];
        swarm_listen::serve("metrics", doors, BOUNDS, Arc::new(Telling(told)), stop).await;
    }
}

/// What is told, and whose turn it is to have it written down.
#[derive(Debug)]
struct Told {
    registry: Registry,
    turn: Semaphore,
}

struct Telling(Arc<Told>);

impl swarm_listen::Service for Telling {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<Incoming>, _: Visit) -> Response<Full<Bytes>> {
        answer(&request, &self.0).await
    }
}

async fn answer(request: &Request<Incoming>, told: &Arc<Told>) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "metrics are at /metrics\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "GET /metrics\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let format = Format::wanted(request.headers());
    let Ok(_turn) = told.turn.acquire().await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "ending\n");
    };
    // Thousands of containers are counted: that is no work for a thread that serves clients.
    let (writer, told) = (tokio::task::spawn_blocking, Arc::clone(told));
    match writer(move || format.render(&told.registry)).await {
        Ok(Ok(text)) => typed(StatusCode::OK, format.content_type(), text),
        failed => {
            warn!(?failed, "cannot write the metrics down");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "cannot write the metrics down\n")
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", text)
}

fn typed(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
