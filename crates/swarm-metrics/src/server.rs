//! `GET /metrics`, on a listener of its own.
//!
//! Invariants: no failure of one connection, nor a lack of descriptors, ends the listener; a reader
//! that stalls costs a place for [`LONGEST`] and nothing else; one answer is made at a time.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::format::Format;

/// Most connections at once: a few readers and a person; further ones wait to be accepted.
const CONNECTIONS: usize = 32;
/// How long a connection may stay without a request: readers ask every minute or so.
const IDLE: Duration = Duration::from_mins(2);
/// How long one connection may live: a reader that takes nothing of its answer is cut.
const LONGEST: Duration = Duration::from_mins(10);
/// Bytes of a request's head.
const LARGEST_HEAD: usize = 16 << 10;
/// Pause after a failed accept, doubled up to the second.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

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
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let _ = stop.run_until_cancelled(self.accept_forever(&told, &places, &stop)).await;
    }

    async fn accept_forever(
        &self,
        told: &Arc<Told>,
        places: &Arc<Semaphore>,
        stop: &CancellationToken,
    ) {
        let (shortest, longest) = ACCEPT_PAUSE;
        let mut pause = shortest;
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    pause = shortest;
                    let (told, stop) = (Arc::clone(told), stop.clone());
                    tokio::spawn(async move {
                        let talk = tokio::time::timeout(LONGEST, talk(stream, told));
                        let _ = stop.run_until_cancelled(talk).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection for metrics");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }
}

/// What is told, and whose turn it is to have it written down.
#[derive(Debug)]
struct Told {
    registry: Registry,
    turn: Semaphore,
}

/// Answers the requests of one connection.
async fn talk(stream: TcpStream, told: Arc<Told>) {
    let service = service_fn(|request| {
        let told = Arc::clone(&told);
        async move { Ok::<_, Infallible>(answer(&request, &told).await) }
    });
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = ended {
        debug!(%error, "a connection for metrics ended");
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
