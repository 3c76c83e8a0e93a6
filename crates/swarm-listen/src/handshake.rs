//! A connection before its first request: what its socket is told, and TLS.
//!
//! Invariants: whoever is silent is let go after [`DEADLINE`]; whoever comes without TLS gets words that a
//! client shows to its user.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// How long a client may take over its TLS handshake.
const DEADLINE: Duration = Duration::from_secs(10);

/// First byte of every TLS connection: a handshake record (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Interactive streams want no delay; keep-alive probes free the streams of vanished clients.
/// Neither is worth refusing a client for.
#[must_use]
pub fn prepare(stream: TcpStream) -> TcpStream {
    let _ = stream.set_nodelay(true);
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&probes);
    stream
}

/// The TLS handshake. A client that speaks plain HTTP gets an answer it can show to its user.
pub async fn secure(
    stream: TcpStream,
    config: Arc<ServerConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let handshake = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first == [TLS_HANDSHAKE] {
            return TlsAcceptor::from(config).accept(stream).await;
        }
        refuse_plain(stream).await?;
        Err(io::Error::other("plain HTTP sent to a TLS endpoint"))
    };
    timeout(DEADLINE, handshake)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake")))
}

async fn refuse_plain(mut stream: TcpStream) -> io::Result<()> {
    const BODY: &str = "{\"message\":\"Client sent an HTTP request to an HTTPS server.\"}";
    let length = BODY.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {length}\
         \r\nConnection: close\r\n\r\n{BODY}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Closing with unread input would reset the connection and could lose the answer.
    let mut rest = [0; 4096];
    for _ in 0..64 {
        match timeout(Duration::from_millis(500), stream.read(&mut rest)).await {
            Ok(Ok(read)) if read > 0 => {}
            _ => break,
        }
    }
    Ok(())
}
