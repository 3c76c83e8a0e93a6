//! HTTP/1 over TCP or TLS for the services beside the Docker API, and connections as they are for whoever
//! passes them on: accepting, limits, and the end in order. What is answered is the [`Service`]'s, what is
//! done with a raw connection the [`Taker`]'s.
//!
//! The Docker API has a server of its own (`swarm-api`): upgrades and Unix sockets need more. The handshake
//! is the same there (`handshake`).
//!
//! Invariants: no failure of one connection, nor a lack of descriptors, ends a listener; after
//! shutdown nothing is accepted, and what is open after [`Bounds::drain`] is cut.

mod handshake;

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

/// Bytes of a request's head.
const LARGEST_HEAD: usize = 16 << 10;
/// Pause after a failed accept, doubled up to the second.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

pub use handshake::{prepare, secure};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Gives the TLS identity of the moment, so that it can be read again while it is in use.
pub type TlsSource = Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>;

/// One address that is listened on.
pub struct Door {
    /// Where clients arrive.
    pub listener: TcpListener,
    /// With what identity; none for plain HTTP.
    pub tls: Option<TlsSource>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = self.tls.is_some();
        f.debug_struct("Door").field("listener", &self.listener).field("tls", &tls).finish()
    }
}

/// What clients may take up.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// How long a connection may stay without a request's head; a raw one has none.
    pub idle: Duration,
    /// How long one connection may live; for ever where there is none.
    pub longest: Option<Duration>,
    /// How long requests under way may go on after shutdown.
    pub drain: Duration,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    /// The client's address.
    pub from: IpAddr,
    /// Fewer than a quarter of the places for connections are free.
    pub crowded: bool,
}

/// What answers.
pub trait Service: Send + Sync + 'static {
    /// An answer's body.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;

    /// Answers one request. It never fails: what fails is an answer.
    fn answer(
        &self,
        request: Request<Incoming>,
        visit: Visit,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// What takes raw connections.
pub trait Taker: Send + Sync + 'static {
    /// Has one connection, to its end.
    fn take<T>(&self, stream: T) -> impl Future<Output = std::io::Result<()>> + Send
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static;
}

/// Serves until `shutdown` is cancelled and the connections have drained. `what` says in the log
/// whose connections these are.
pub async fn serve<S: Service>(
    what: &'static str,
    doors: Vec<Door>,
    bounds: Bounds,
    service: Arc<S>,
    shutdown: CancellationToken,
) {
    open(what, doors, bounds, Http(service), shutdown).await;
}

/// As [`serve`], connections as they are; those that are there at shutdown may go on as long as requests
/// under way may.
pub async fn serve_raw<T: Taker>(
    what: &'static str,
    doors: Vec<Door>,
    bounds: Bounds,
    taker: Arc<T>,
    shutdown: CancellationToken,
) {
    open(what, doors, bounds, Raw(taker), shutdown).await;
}

async fn open<K: Kind>(
    what: &'static str,
    doors: Vec<Door>,
    bounds: Bounds,
    kind: K,
    shutdown: CancellationToken,
) {
    let house = Arc::new(House {
        what,
        kind,
        places: Arc::new(Semaphore::new(bounds.connections)),
        bounds,
        tracker: TaskTracker::new(),
        stopping: shutdown,
        cut: CancellationToken::new(),
    });
    let _cut_when_dropped = house.cut.clone().drop_guard();
    let accepting = TaskTracker::new();
    for door in doors {
        accepting.spawn(Arc::clone(&house).accept(door));
    }
    accepting.close();
    accepting.wait().await;
    house.tracker.close();
    if tokio::time::timeout(bounds.drain, house.tracker.wait()).await.is_err() {
        let left = house.tracker.len();
        info!(left, what, "cutting the connections that are still open");
        house.cut.cancel();
        house.tracker.wait().await;
    }
}

/// What becomes of a connection once it is there.
trait Kind: Sized + Send + Sync + 'static {
    fn drive<T>(
        &self,
        house: &House<Self>,
        stream: T,
        from: IpAddr,
    ) -> impl Future<Output = Result<(), BoxError>> + Send
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static;
}

struct Http<S>(Arc<S>);
struct Raw<T>(Arc<T>);

struct House<K> {
    what: &'static str,
    kind: K,
    places: Arc<Semaphore>,
    bounds: Bounds,
    tracker: TaskTracker,
    stopping: CancellationToken,
    cut: CancellationToken,
}

impl<K: Kind> House<K> {
    async fn accept(self: Arc<Self>, door: Door) {
        let stopping = self.stopping.clone();
        let _ = stopping.run_until_cancelled(self.accept_forever(&door)).await;
    }

    async fn accept_forever(self: &Arc<Self>, door: &Door) {
        let what = self.what;
        let (shortest, longest) = ACCEPT_PAUSE;
        let mut pause = shortest;
        loop {
            if self.places.available_permits() == 0 {
                warn!(what, "the connection limit is reached: new clients wait");
            }
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            match door.listener.accept().await {
                Ok((stream, _)) => {
                    pause = shortest;
                    let tls = door.tls.as_ref().map(|source| source());
                    let (house, cut) = (Arc::clone(self), self.cut.clone());
                    self.tracker.spawn(async move {
                        let _ = cut.run_until_cancelled(house.live(stream, tls)).await;
                        drop::<OwnedSemaphorePermit>(place);
                    });
                }
                Err(error) => {
                    warn!(what, %error, "cannot accept a connection");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }

    /// One connection, for as long as it may live.
    async fn live(&self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) {
        let life = self.welcome(stream, tls);
        let ended = match self.bounds.longest {
            None => life.await,
            Some(longest) => tokio::time::timeout(longest, life)
                .await
                .unwrap_or_else(|_| Err("it lived for as long as it may".into())),
        };
        if let Err(error) = ended {
            debug!(what = self.what, %error, "a connection ended");
        }
    }

    async fn welcome(
        &self,
        stream: TcpStream,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<(), BoxError> {
        let from = stream.peer_addr()?.ip();
        let stream = prepare(stream);
        match tls {
            None => self.kind.drive(self, stream, from).await,
            Some(config) => {
                let stream = secure(stream, config).await;
                self.kind.drive(self, stream.map_err(|error| Refused { from, error })?, from).await
            }
        }
    }
}

/// A client that was not let in.
#[derive(Debug, thiserror::Error)]
#[error("{from} was refused before its request: {error}")]
struct Refused {
    from: IpAddr,
    #[source]
    error: std::io::Error,
}

impl<S: Service> Kind for Http<S> {
    /// Answers the requests of one connection; once the service stops, the one under way is the
    /// last.
    async fn drive<T>(&self, house: &House<Self>, stream: T, from: IpAddr) -> Result<(), BoxError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let few = house.bounds.connections / 4;
        let service = service_fn(async |request| {
            let visit = Visit { from, crowded: house.places.available_permits() < few };
            Ok::<_, Infallible>(self.0.answer(request, visit).await)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(house.bounds.idle)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = house.stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        Ok(ended?)
    }
}

impl<R: Taker> Kind for Raw<R> {
    async fn drive<T>(&self, _: &House<Self>, stream: T, _: IpAddr) -> Result<(), BoxError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Ok(self.0.take(stream).await?)
    }
}

#[cfg(test)]
mod tests;
