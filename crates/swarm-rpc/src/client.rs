//! The caller's side: a connection, verified as its configuration says, and calls over it.
//!
//! Invariant: a channel is one connection. When that is over each call fails, and the caller decides
//! whom to connect to next.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use crate::heard::Heard;

/// How often the other side is asked whether it is there, and how long it may take to say so: one
/// that is gone silent is noticed within 1.5 s, about when the managers have another leader. A
/// machine that is loaded answers late, so it is the questions that are frequent.
const ASK: Duration = Duration::from_millis(500);
const ANSWER: Duration = Duration::from_secs(1);
/// What may be under way unread, of one call and of one connection, in bytes.
const WINDOWS: (u32, u32) = (1 << 20, 4 << 20);

/// Why there is no connection. Each names the address.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody there, or no way.
    #[error("{address}: {source}")]
    Unreachable {
        /// `HOST:PORT`.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Nothing within the deadline.
    #[error("{address}: no connection within {after:?}")]
    Late {
        /// `HOST:PORT`.
        address: String,
        /// The deadline.
        after: Duration,
    },
    /// One of both sides refused the other; [`tls_cause`] gives rustls's own error.
    #[error("{address}: the TLS handshake failed: {source}")]
    Handshake {
        /// `HOST:PORT`.
        address: String,
        /// What rustls says.
        source: io::Error,
    },
    /// It speaks TLS, and then something else than is expected.
    #[error("{address}: no calls can be made: {source}")]
    Calls {
        /// `HOST:PORT`.
        address: String,
        /// What the library says.
        source: tonic::transport::Error,
    },
}

/// A connection of this kind (ALPN) to `HOST:PORT`.
pub async fn dial(
    address: &str,
    tls: &Arc<ClientConfig>,
    kind: &[u8],
    deadline: Duration,
) -> Result<TlsStream<TcpStream>, ConnectError> {
    let (until, address) = (Instant::now() + deadline, address.to_owned());
    let late = |address| ConnectError::Late { address, after: deadline };
    let stream = match timeout_at(until, TcpStream::connect(&address)).await {
        Err(_) => return Err(late(address)),
        Ok(Err(source)) => return Err(ConnectError::Unreachable { address, source }),
        Ok(Ok(stream)) => stream,
    };
    if let Err(source) = stream.set_nodelay(true) {
        return Err(ConnectError::Unreachable { address, source });
    }
    let mut tls = ClientConfig::clone(tls);
    tls.alpn_protocols = vec![kind.to_vec()];
    // Not looked at: a node is known by its certificate.
    let name = match ServerName::try_from("node.invalid") {
        Ok(name) => name,
        Err(error) => {
            return Err(ConnectError::Handshake { address, source: io::Error::other(error) });
        }
    };
    match timeout_at(until, TlsConnector::from(Arc::new(tls)).connect(name, stream)).await {
        Err(_) => Err(late(address)),
        Ok(Err(source)) => Err(ConnectError::Handshake { address, source }),
        Ok(Ok(stream)) => Ok(stream),
    }
}

/// A connection for calls of this kind (ALPN) to `HOST:PORT`.
///
/// With TLS 1.3 a server refuses a client after the client is done. Therefore its first word is waited
/// for: once this returns, the caller was let in.
pub async fn connect(
    address: &str,
    tls: &Arc<ClientConfig>,
    kind: &[u8],
    deadline: Duration,
) -> Result<Channel, ConnectError> {
    let until = Instant::now() + deadline;
    let stream = dial(address, tls, kind, deadline).await?;
    let late = || ConnectError::Late { address: address.to_owned(), after: deadline };
    let heard = timeout_at(until, Heard::first(stream)).await.map_err(|_| late())?;
    let stream =
        heard.map_err(|source| ConnectError::Handshake { address: address.to_owned(), source })?;
    let calls = |source| ConnectError::Calls { address: address.to_owned(), source };
    // Not looked at either; an address of IPv6 with a zone would be no URI.
    let endpoint = Endpoint::from_static("http://node.invalid")
        .http2_keep_alive_interval(ASK)
        .keep_alive_timeout(ANSWER)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1);
    let connecting = endpoint.connect_with_connector(Once(Some(stream)));
    match timeout_at(until, connecting).await {
        Ok(connected) => connected.map_err(calls),
        Err(_) => Err(late()),
    }
}

/// Gives the one connection that there is.
struct Once(Option<Heard<TlsStream<TcpStream>>>);

impl tower_service::Service<Uri> for Once {
    type Response = TokioIo<Heard<TlsStream<TcpStream>>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let stream = self.0.take().map(TokioIo::new);
        let over = || io::Error::new(io::ErrorKind::NotConnected, "the connection is over");
        Box::pin(async move { stream.ok_or_else(over) })
    }
}

/// rustls's own error, if it is the cause of this one.
pub fn tls_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // One of I/O has its cause as its own inner error, which is not its source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}
