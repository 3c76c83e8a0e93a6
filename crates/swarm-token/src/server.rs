//! The listening side: accepting, TLS, limits, and the end in order.
//!
//! Invariants: no failure of one connection ends the service; after shutdown nothing is accepted,
//! those who wait for a change are answered at once, and what is open after [`DRAIN`] is cut.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::Service;
use crate::answer::answer;

/// Longer than the heartbeat of most agents, so that a renewal costs no new connection and, above
/// all, no TLS handshake, which is ten times the renewal itself.
const IDLE: Duration = Duration::from_mins(6);
/// Bytes of a request's head.
const LARGEST_HEAD: usize = 16 << 10;
/// How long a client may take over its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests under way may go on at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after a failed accept, doubled up to the second.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

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

/// Serves until `shutdown` is cancelled and the connections have drained.
pub async fn serve(service: Arc<Service>, doors: Vec<Door>, shutdown: CancellationToken) {
    let limit = service.limits.connections.max(doors.len() + 1);
    let house = Arc::new(House {
        service: Arc::clone(&service),
        places: Arc::new(Semaphore::new(limit)),
        few: limit / 4,
        tracker: TaskTracker::new(),
        stopping: shutdown.clone(),
        cut: CancellationToken::new(),
    });
    let _cut_when_dropped = house.cut.clone().drop_guard();
    let accepting: TaskTracker = doors.into_iter().fold(TaskTracker::new(), |tracker, door| {
        tracker.spawn(Arc::clone(&house).accept(door));
        tracker
    });
    accepting.close();
    service.look_after(&shutdown).await;
    accepting.wait().await;
    house.tracker.close();
    if tokio::time::timeout(DRAIN, house.tracker.wait()).await.is_err() {
        info!(left = house.tracker.len(), "cutting the connections that are still open");
        house.cut.cancel();
        house.tracker.wait().await;
    }
}

struct House {
    service: Arc<Service>,
    places: Arc<Semaphore>,
    /// Below so many free places no connection is kept after its answer.
    few: usize,
    tracker: TaskTracker,
    stopping: CancellationToken,
    cut: CancellationToken,
}

impl House {
    async fn accept(self: Arc<Self>, door: Door) {
        let stopping = self.stopping.clone();
        let _ = stopping.run_until_cancelled(self.accept_forever(&door)).await;
    }

    async fn accept_forever(self: &Arc<Self>, door: &Door) {
        let (shortest, longest) = ACCEPT_PAUSE;
        let mut pause = shortest;
        loop {
            if self.places.available_permits() == 0 {
                warn!("the connection limit is reached: new clients wait");
            }
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            match door.listener.accept().await {
                Ok((stream, _)) => {
                    pause = shortest;
                    let tls = door.tls.as_ref().map(|source| source());
                    let (house, cut) = (Arc::clone(self), self.cut.clone());
                    self.tracker.spawn(async move {
                        let _ = cut.run_until_cancelled(house.welcome(stream, tls)).await;
                        drop::<OwnedSemaphorePermit>(place);
                    });
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }

    async fn welcome(&self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) {
        let ended = self.serve(stream, tls).await;
        if let Err(error) = ended {
            debug!(%error, "a connection ended");
        }
    }

    async fn serve(
        &self,
        stream: TcpStream,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let source = stream.peer_addr()?.ip();
        // An answer is one write; waiting for more of it would only delay it.
        stream.set_nodelay(true)?;
        let Some(config) = tls else { return Ok(self.drive(stream, source).await?) };
        let handshake = TlsAcceptor::from(config).accept(stream);
        let stream = tokio::time::timeout(HANDSHAKE, handshake)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake"))??;
        Ok(self.drive(stream, source).await?)
    }

    /// Answers the requests of one connection; once the service stops, the one under way is the
    /// last.
    async fn drive<S>(&self, stream: S, source: IpAddr) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let service = service_fn(async |request| {
            let mut answer = answer(&self.service, request, source, &self.stopping).await;
            if self.places.available_permits() < self.few {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    }
}
