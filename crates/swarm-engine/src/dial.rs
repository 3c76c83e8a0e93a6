//! Opening a socket to an engine: name look-up, connect, TLS, socket options, all in one deadline.
//!
//! How dead peers are noticed:
//! - every TCP socket has keepalive, which ends a stream that only reads;
//! - sockets on which we write next to nothing (pings, events) have TCP_USER_TIMEOUT too;
//! - the others must not: the kernel counts it against a peer that answers window probes with a
//!   closed window, so it would break `docker run -i` into a process that does not read just now.
//!   A stuck upload to a silent engine ends by [`crate::EngineClient::sever`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::link::{Link, Socket};
use crate::tls::TlsClient;
use crate::{ClientOptions, EngineAddress, EngineError};

/// A read-only stream to a dead host ends after 5 + 3 * 2 s.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_PROBES: u32 = 3;
/// The same order as keepalive, for the few bytes a ping or an event stream's request is.
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Any request: may upload, may be blocked by the engine for long.
    Exchange,
    /// Pings and events: short writes only.
    Watch,
}

/// Waits for `future` until `after` has passed.
pub(crate) async fn within<T>(
    what: &'static str,
    after: Duration,
    future: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(after, future).await {
        Ok(result) => result,
        Err(_) => Err(EngineError::Deadline { what, after }),
    }
}

/// Opens a socket within the connect deadline.
pub(crate) async fn dial(
    address: &EngineAddress,
    options: &ClientOptions,
    cut: CancellationToken,
    purpose: Purpose,
) -> Result<Link, EngineError> {
    let opening = async {
        let socket = match address {
            EngineAddress::Unix(path) => {
                Socket::Unix(UnixStream::connect(path).await.map_err(EngineError::connecting)?)
            }
            EngineAddress::Tcp { host, port } => {
                let deadline = Instant::now() + options.connect_deadline;
                let tcp = connect(host, *port, deadline).await.map_err(EngineError::connecting)?;
                prepare(&tcp, purpose).map_err(EngineError::connecting)?;
                match &options.tls {
                    None => Socket::Tcp(tcp),
                    Some(tls) => handshake(tls, host, tcp).await?,
                }
            }
            EngineAddress::Node { id, .. } => {
                let Some(tunnels) = &options.tunnels else {
                    let words = format!("there is no way to node {id} from here");
                    return Err(EngineError::connecting(io::Error::other(words)));
                };
                Socket::Tunnel(tunnels.open(id).await.map_err(EngineError::connecting)?)
            }
        };
        Ok(Link::new(socket, cut))
    };
    within("connection", options.connect_deadline, opening).await
}

/// Tries every address of the name; each has its share of the time left, so that one that
/// swallows packets does not use up the others'.
async fn connect(host: &str, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return TcpStream::connect((ip, port)).await;
    }
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = error,
            Err(_) => {
                let text = format!("no connection to {address} within {share:?}");
                failure = io::Error::new(io::ErrorKind::TimedOut, text);
            }
        }
    }
    Err(failure)
}

fn prepare(tcp: &TcpStream, purpose: Purpose) -> io::Result<()> {
    let socket = SockRef::from(tcp);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    if purpose == Purpose::Watch {
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    }
    Ok(())
}

async fn handshake(tls: &TlsClient, host: &str, tcp: TcpStream) -> Result<Socket, EngineError> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| EngineError::Tls(format!("{host} cannot be a certificate's name")))?;
    let connector = TlsConnector::from(tls.config());
    let stream = connector.connect(name, tcp).await.map_err(|error| {
        match EngineError::connecting(error) {
            // Whatever broke off here broke off in the handshake.
            EngineError::Connect(error) => EngineError::broken_off(&error),
            other => other,
        }
    })?;
    Ok(Socket::Tls(Box::new(stream)))
}
