//! A socket that remembers why TLS failed on it.
//!
//! With TLS 1.3 a server judges our certificate after our side of the handshake is over, so that
//! its refusal comes with the first read; HTTP/2 above keeps only the words of it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Why TLS failed, once it has.
pub(crate) type Trouble = Arc<OnceLock<rustls::Error>>;

/// A connected socket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    trouble: Trouble,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Socket {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self { stream: Stream::Plain(stream), trouble: Trouble::default() }
    }

    pub(crate) fn encrypted(stream: TlsStream<TcpStream>) -> Self {
        Self { stream: Stream::Encrypted(Box::new(stream)), trouble: Trouble::default() }
    }

    /// Where it will be told why TLS failed.
    pub(crate) fn trouble(&self) -> Trouble {
        Arc::clone(&self.trouble)
    }
}

/// The TLS failure in an I/O error.
pub(crate) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if let Poll::Ready(Err(error)) = &polled
            && let Some(error) = tls_error(error)
        {
            // The first one is the cause; what follows are its consequences.
            let _ = self.trouble.set(error.clone());
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
