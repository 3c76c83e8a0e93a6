//! The listening side: accepting, limiting, and ending in order.
//!
//! Invariants: no failure of one connection, nor a lack of file descriptors, ends a listener; after
//! shutdown nothing is accepted, what has no end of its own is broken off (`endless`), other requests
//! under way are given [`ServerOptions::drain`], and then everything is cut. Dropping the future of [`serve`] cuts everything at once.

use std::sync::Arc;
use std::time::Duration;

use swarm_backend::{Backend, Forward, NodeBackend};
use swarm_listen::secure;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::connection::drive;
use crate::endpoint::Endpoint;
use crate::eof::Phases;
use crate::headers::Signature;
use crate::link::Link;
use crate::listener::{Accepted, Listener};
use crate::metrics::ApiMetrics;
use crate::surface::Surface;

/// Pause after a failed accept, doubled up to the second: usually descriptors are out, and only
/// time brings them back.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// How a server behaves.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// This product's version, for `Server: Swarm/<version> (linux)`.
    pub version: String,
    /// Let any web page call this API (`--api-enable-cors`).
    pub cors: bool,
    /// Most connections at once, hijacked ones included; further ones wait to be accepted.
    pub max_connections: usize,
    /// How long requests under way may go on after shutdown.
    pub drain: Duration,
    /// Asked first for every request, where the pool has several managers.
    pub forward: Option<Arc<dyn Forward>>,
    /// What metrics and traces call it: `pool`, `node`, `cluster`.
    pub endpoint: &'static str,
    /// Where requests are counted; a clone of it is registered by whoever publishes the counts.
    pub metrics: ApiMetrics,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cors: false,
            // Some 10 KiB each while idle: 80 MiB at the very most.
            max_connections: 8192,
            drain: Duration::from_secs(10),
            forward: None,
            endpoint: "pool",
            metrics: ApiMetrics::default(),
        }
    }
}

/// Serves the Docker API of one huge engine on all `listeners` until `shutdown` is cancelled and the
/// connections have drained.
pub async fn serve(
    listeners: Vec<Listener>,
    backend: Arc<dyn Backend>,
    options: ServerOptions,
    shutdown: CancellationToken,
) {
    serve_endpoint(listeners, backend, options, shutdown).await;
}

/// As [`serve`], the Docker API of this node's own engine with swarm mode built in.
pub async fn serve_node(
    listeners: Vec<Listener>,
    backend: Arc<dyn NodeBackend>,
    options: ServerOptions,
    shutdown: CancellationToken,
) {
    serve_endpoint(listeners, backend, options, shutdown).await;
}

async fn serve_endpoint<B: Endpoint + ?Sized>(
    listeners: Vec<Listener>,
    backend: Arc<B>,
    options: ServerOptions,
    shutdown: CancellationToken,
) {
    let signature = Signature::new(&options.version, options.cors);
    // Each listener holds one place while it waits.
    let places = options.max_connections.max(listeners.len() + 1);
    let server = Arc::new(Server {
        surface: Arc::new(Surface::new(
            backend,
            options.forward.clone(),
            signature,
            options.endpoint,
            options.metrics.clone(),
        )),
        places: Arc::new(Semaphore::new(places)),
        tracker: TaskTracker::new(),
        stopping: shutdown,
        kill: CancellationToken::new(),
    });
    let _cut_when_dropped = server.kill.clone().drop_guard();
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(Arc::clone(&server).accept(listener));
    }
    while accepting.join_next().await.is_some() {}
    server.tracker.close();
    if tokio::time::timeout(options.drain, server.tracker.wait()).await.is_err() {
        let left = server.tracker.len();
        info!(left, "cutting the connections that are still open");
        server.kill.cancel();
        server.tracker.wait().await;
    }
}

struct Server<B: ?Sized> {
    surface: Arc<Surface<B>>,
    places: Arc<Semaphore>,
    tracker: TaskTracker,
    stopping: CancellationToken,
    kill: CancellationToken,
}

impl<B: Endpoint + ?Sized> Server<B> {
    async fn accept(self: Arc<Self>, listener: Listener) {
        let stopping = self.stopping.clone();
        let _ = stopping.run_until_cancelled(self.accept_forever(&listener)).await;
        listener.close();
    }

    async fn accept_forever(&self, listener: &Listener) {
        let (shortest, longest) = ACCEPT_PAUSE;
        let mut pause = shortest;
        loop {
            if self.places.available_permits() == 0 {
                warn!("the connection limit is reached: new clients wait");
            }
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok(accepted) => {
                    pause = shortest;
                    let link = Link {
                        phases: Phases::default(),
                        tracker: self.tracker.clone(),
                        stopping: self.stopping.clone(),
                        kill: self.kill.clone(),
                        permit: Arc::new(place),
                    };
                    self.welcome(accepted, &link);
                }
                Err(error) => {
                    warn!(%error, ?listener, "cannot accept a connection");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }

    fn welcome(&self, accepted: Accepted, link: &Link) {
        let (surface, link_) = (Arc::clone(&self.surface), link.clone());
        match accepted {
            Accepted::Tcp(stream) => link.spawn(drive(stream, surface, link_)),
            Accepted::Unix(stream) => link.spawn(drive(stream, surface, link_)),
            Accepted::Handed(stream) => link.spawn(drive(stream, surface, link_)),
            Accepted::Tls(stream, config) => link.spawn(async move {
                let peer = stream.peer_addr();
                match secure(stream, config).await {
                    Ok(stream) => drive(stream, surface, link_).await,
                    Err(error) => debug!(%error, ?peer, "refused a client before its request"),
                }
            }),
        }
    }
}
