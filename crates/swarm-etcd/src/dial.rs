//! Opening a socket to one endpoint: look-up, connect, TLS. The deadline is the caller's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::fault::{Blame, Fault};
use crate::socket::Socket;

/// How long one address of a name may take: the next may be the one that answers.
const ADDRESS: Duration = Duration::from_secs(1);
/// An idle connection through a firewall is kept open, and one to a dead host is given up after
/// 60 + 3 * 10 s, by the kernels alone: no byte of it is ours.
const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// Connects to `HOST:PORT`.
pub(crate) async fn dial(endpoint: &str, tls: Option<&Arc<ClientConfig>>) -> Result<Socket, Fault> {
    let tcp = connect(endpoint).await.map_err(|error| Fault::unsent(endpoint, error))?;
    let Some(tls) = tls else { return Ok(Socket::plain(tcp)) };
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|_| {
        Fault::wrong(endpoint, Blame::Refused, "this name cannot stand in a certificate")
    })?;
    match TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await {
        Ok(stream) => Ok(Socket::encrypted(stream)),
        Err(error) => Err(Fault::of_io(endpoint, &error)),
    }
}

async fn connect(endpoint: &str) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in tokio::net::lookup_host(endpoint).await? {
        match tokio::time::timeout(ADDRESS, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                let keepalive = TcpKeepalive::new()
                    .with_time(KEEPALIVE_IDLE)
                    .with_interval(KEEPALIVE_INTERVAL)
                    .with_retries(KEEPALIVE_PROBES);
                SockRef::from(&tcp).set_tcp_keepalive(&keepalive)?;
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Ok(Err(error)) => failure = error,
            Err(_) => {
                let text = format!("no connection to {address} within {ADDRESS:?}");
                failure = io::Error::new(io::ErrorKind::TimedOut, text);
            }
        }
    }
    Err(failure)
}
