//! The listening side: accepting, TLS, limits, and the end in order.
//!
//! Invariants: no failure of one connection ends the service; after shutdown nothing is accepted,
//! streams end at once, and what is open after [`DRAIN`] is cut.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

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
use tracing::{debug, warn};

use crate::Backend;
use crate::feed::{self, Feed};
use crate::guard::Guard;
use crate::route::Page;

/// Connections at once; further ones wait. Each page holds one or two.
const CONNECTIONS: usize = 512;
/// How long a connection may stay without a request's head.
const IDLE: Duration = Duration::from_mins(1);
/// Bytes of a request's head.
const LARGEST_HEAD: usize = 16 << 10;
/// How long a client may take over its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests under way may go on at the end.
const DRAIN: Duration = Duration::from_secs(2);
/// Pause after a failed accept, doubled up to the second.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// Gives the TLS identity of the moment, so that it can be read again while it is in use.
pub type TlsSource = Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>;

/// Where the page is served.
pub struct Door {
    /// Where clients arrive.
    pub listener: TcpListener,
    /// With what identity; none for plain HTTP.
    pub tls: Option<TlsSource>,
    /// Who is let in.
    pub guard: Guard,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = self.tls.is_some();
        f.debug_struct("Door")
            .field("listener", &self.listener)
            .field("tls", &tls)
            .field("guard", &self.guard)
            .finish()
    }
}

/// Serves until `shutdown` is cancelled and the connections have ended.
pub async fn serve(door: Door, backend: Backend, shutdown: CancellationToken) {
    let feed = Feed::new(Arc::clone(&backend));
    let stop = shutdown.clone();
    let house = Arc::new(House {
        page: Page { backend, feed: Arc::clone(&feed), guard: door.guard, stop },
        tls: door.tls,
        tracker: TaskTracker::new(),
        cut: CancellationToken::new(),
    });
    let _cut_when_dropped = house.cut.clone().drop_guard();
    let accepting = shutdown.run_until_cancelled(house.accept_forever(&door.listener));
    let watching = feed::run(feed, shutdown.clone());
    tokio::join!(accepting, watching);
    drop(door.listener);
    house.tracker.close();
    if tokio::time::timeout(DRAIN, house.tracker.wait()).await.is_err() {
        house.cut.cancel();
        house.tracker.wait().await;
    }
}

struct House {
    page: Page,
    tls: Option<TlsSource>,
    tracker: TaskTracker,
    cut: CancellationToken,
}

impl House {
    async fn accept_forever(self: &Arc<Self>, listener: &TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let (shortest, longest) = ACCEPT_PAUSE;
        let mut pause = shortest;
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    pause = shortest;
                    let (house, cut) = (Arc::clone(self), self.cut.clone());
                    self.tracker.spawn(async move {
                        let served = cut.run_until_cancelled(house.welcome(stream)).await;
                        if let Some(Err(error)) = served {
                            debug!(%error, "a connection of the page ended");
                        }
                        drop::<OwnedSemaphorePermit>(place);
                    });
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection to the page");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }

    async fn welcome(
        self: Arc<Self>,
        stream: TcpStream,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        // An event is one write; waiting for more of it would only delay it.
        stream.set_nodelay(true)?;
        let Some(config) = self.tls.as_ref().map(|source| source()) else {
            return Ok(self.drive(stream).await?);
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        let stream = tokio::time::timeout(HANDSHAKE, handshake)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake"))??;
        Ok(self.drive(stream).await?)
    }

    /// Answers the requests of one connection; once the service stops, the one under way is the
    /// last.
    async fn drive<S>(self: Arc<Self>, stream: S) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let stop = self.page.stop.clone();
        let house = self;
        let service = service_fn(move |request| {
            let house = Arc::clone(&house);
            async move { Ok::<_, Infallible>(house.page.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled_owned() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    }
}
