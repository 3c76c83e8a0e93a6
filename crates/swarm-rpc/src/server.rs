//! The server: takes connections, learns in the handshake what each is for, and serves it so.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;

use crate::connections::{Connections, Watched};
use crate::peer::Peer;
use crate::services::Services;

/// How many connections there may be: a node holds one or two.
const MOST: usize = 20_000;
/// How long a caller may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How many handshakes are computed at once, and how long one may hold its place. When thousands of
/// nodes come at the same time, after their leader was lost, those that are in are still answered; and
/// who begins a handshake and says no more does not keep others out.
const AT_ONCE: (usize, Duration) = (32, Duration::from_millis(100));
/// How long one may stay that showed no certificate: it fetches the roots, or joins.
const STRANGER: Duration = Duration::from_mins(1);
/// How often a silent caller is asked whether it is there, and how long it may take to say so. Nodes
/// are found missing by their beats; this frees what their connections hold.
const ASK: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(10));
/// Calls at once over one connection.
const STREAMS: u32 = 256;
/// What may be under way unread, of one call and of one connection, in bytes.
const WINDOWS: (u32, u32) = (1 << 20, 4 << 20);
/// The largest head of a call, in bytes.
const HEAD: u32 = 16 << 10;
/// How long calls may take to end when the server stops.
const FAREWELL: Duration = Duration::from_secs(1);
/// A pause after the system refused a connection (no file descriptors).
const PAUSE: Duration = Duration::from_millis(100);

/// A connection that was handed over.
pub type Taken = TlsStream<Watched<TcpStream>>;
/// Asked once more when a handshake is done and the connection can be closed from elsewhere: `Err`
/// says why it is not let in.
pub type Admit = Arc<dyn Fn(&Peer) -> Result<(), String> + Send + Sync>;
type Take = Arc<dyn Fn(Taken, Peer) + Send + Sync>;

/// What connections of one kind are for.
#[derive(Clone)]
pub struct Route {
    kind: Vec<u8>,
    tls: Arc<ServerConfig>,
    admit: Option<Admit>,
    purpose: Purpose,
}

#[derive(Clone)]
enum Purpose {
    Calls(Services),
    Streams(Take),
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Route").field(&String::from_utf8_lossy(&self.kind)).finish()
    }
}

impl Route {
    /// Calls, for connections whose handshake names `kind` (ALPN). `tls` needs to name none.
    pub fn calls(kind: &[u8], tls: &ServerConfig, services: Services) -> Self {
        Self::new(kind, tls, Purpose::Calls(services))
    }

    /// Connections that are handed over. `take` must not block.
    pub fn streams(
        kind: &[u8],
        tls: &ServerConfig,
        take: impl Fn(Taken, Peer) + Send + Sync + 'static,
    ) -> Self {
        Self::new(kind, tls, Purpose::Streams(Arc::new(take)))
    }

    fn new(kind: &[u8], tls: &ServerConfig, purpose: Purpose) -> Self {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![kind.to_vec()];
        Self { kind: kind.to_vec(), tls: Arc::new(tls), admit: None, purpose }
    }

    /// And asks this, too.
    #[must_use]
    pub fn admitting(self, admit: Admit) -> Self {
        Self { admit: Some(admit), ..self }
    }
}

/// A server of several routes on one port.
#[derive(Debug, Clone)]
pub struct Server {
    routes: Arc<[Route]>,
    connections: Arc<Connections>,
    /// Places for handshakes.
    handshakes: Arc<Semaphore>,
}

impl Server {
    /// Serves these. Whoever holds `connections` can close them.
    pub fn new(routes: Vec<Route>, connections: Arc<Connections>) -> Self {
        let handshakes = Arc::new(Semaphore::new(AT_ONCE.0));
        Self { routes: routes.into(), connections, handshakes }
    }

    /// Serves until it is told to stop; then takes no more, lets calls end for a moment, and ends the
    /// rest.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(MOST));
        let tasks = TaskTracker::new();
        let end = CancellationToken::new();
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await.ok()?;
                Some((place, listener.accept().await))
            };
            let Some(Some((place, accepted))) = stop.run_until_cancelled(next).await else { break };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "no connection could be taken");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let (server, stop, end) = (self.clone(), stop.clone(), end.clone());
            tasks.spawn(async move {
                let serving = server.connection(stream, address, &stop);
                if let Some(Err(error)) = end.run_until_cancelled(serving).await {
                    tracing::debug!(%address, %error, "a connection ended");
                }
                drop(place);
            });
        }
        drop(listener);
        tasks.close();
        if timeout(FAREWELL, tasks.wait()).await.is_err() {
            end.cancel();
            tasks.wait().await;
        }
    }

    async fn connection(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let closed = CancellationToken::new();
        // Boxed, as all that is large, so that a connection costs what it needs now.
        let handshake = Box::pin(self.handshake(Watched::new(stream, &closed)));
        let shaken = stop.run_until_cancelled(timeout(HANDSHAKE, handshake)).await;
        let Some(shaken) = shaken else { return Ok(()) };
        let late = |_| io::Error::other(format!("no handshake within {HANDSHAKE:?}"));
        let (route, mut stream) = shaken.map_err(late)??;
        let peer = Peer::new(stream.get_ref().1.peer_certificates().unwrap_or_default(), address);
        // Listed before it is asked for: whoever refuses a node and then closes what is listed,
        // misses none.
        if let Some(own) = &peer.certificate {
            stream.get_mut().0.list(self.connections.list(own, &closed));
        }
        if let Some(admit) = &route.admit {
            admit(&peer).map_err(io::Error::other)?;
        }
        match &route.purpose {
            Purpose::Streams(take) => {
                take(stream, peer);
                Ok(())
            }
            Purpose::Calls(services) if peer.certificate.is_none() => {
                let calls = Box::pin(calls(stream, peer, services.clone(), stop));
                timeout(STRANGER, calls).await.unwrap_or(Ok(()))
            }
            Purpose::Calls(services) => Box::pin(calls(stream, peer, services.clone(), stop)).await,
        }
    }

    async fn handshake(&self, stream: Watched<TcpStream>) -> io::Result<(&Route, Taken)> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let route = {
            let hello = start.client_hello();
            let mut kinds = hello.alpn().into_iter().flatten();
            kinds.find_map(|kind| self.routes.iter().find(|route| route.kind == kind))
        };
        let route = route.ok_or_else(|| io::Error::other("it names no kind that is served"))?;
        let place = self.handshakes.acquire().await.map_err(io::Error::other)?;
        let mut shaking = std::pin::pin!(start.into_stream(Arc::clone(&route.tls)));
        if let Ok(shaken) = timeout(AT_ONCE.1, &mut shaking).await {
            return Ok((route, shaken?));
        }
        drop(place);
        Ok((route, shaking.await?))
    }
}

/// Answers calls until the caller goes, or the server stops and the last call has ended.
async fn calls(
    stream: Taken,
    peer: Peer,
    services: Services,
    stop: &CancellationToken,
) -> io::Result<()> {
    let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (services, mut request) = (services.clone(), request.map(Body::new));
        request.extensions_mut().insert(peer.clone());
        async move { Ok::<_, std::convert::Infallible>(services.answer(request).await) }
    });
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .keep_alive_interval(ASK.0)
        .keep_alive_timeout(ASK.1)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_header_list_size(HEAD);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), answer));
    tokio::select! {
        ended = &mut connection => return ended.map_err(io::Error::other),
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await.map_err(io::Error::other)
}
