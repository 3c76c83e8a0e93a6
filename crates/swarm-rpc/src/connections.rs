//! The connections that are open, and how they are closed when a node is not to be heard any more.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// Open connections of a server.
#[derive(Debug, Default)]
pub struct Connections(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    by_number: HashMap<u64, (CertificateDer<'static>, CancellationToken)>,
}

impl Connections {
    /// None yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Ends all whose certificate is such a one; how many they were.
    pub fn close(&self, such: impl Fn(&CertificateDer<'static>) -> bool) -> usize {
        let open = self.0.lock();
        let ended = open.by_number.values().filter(|(certificate, _)| such(certificate));
        ended.map(|(_, closed)| closed.cancel()).count()
    }

    /// How many there are whose end showed a certificate.
    pub fn len(&self) -> usize {
        self.0.lock().by_number.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lists a connection as long as what is given back lives.
    pub(crate) fn list(
        self: &Arc<Self>,
        certificate: &CertificateDer<'static>,
        closed: &CancellationToken,
    ) -> Listed {
        let mut open = self.0.lock();
        open.next += 1;
        let number = open.next;
        open.by_number.insert(number, (certificate.clone(), closed.clone()));
        Listed { connections: Arc::clone(self), number }
    }
}

/// A connection that is listed.
#[derive(Debug)]
pub(crate) struct Listed {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.connections.0.lock().by_number.remove(&self.number);
    }
}

/// A stream that ends when it is closed from elsewhere: every read and write fails from then on.
pub struct Watched<S> {
    stream: S,
    closed: CancellationToken,
    told: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    /// Taken off the list when the stream ends, whoever has it then.
    listed: Option<Listed>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, closed: &CancellationToken) -> Self {
        let told = Box::pin(closed.clone().cancelled_owned());
        Self { stream, closed: closed.clone(), told, listed: None }
    }

    pub(crate) fn list(&mut self, listed: Listed) {
        self.listed = Some(listed);
    }

    fn open(&mut self) -> io::Result<&mut S> {
        if self.closed.is_cancelled() {
            let words = "the connection was closed: its node is not let in any more";
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, words));
        }
        Ok(&mut self.stream)
    }
}

impl<S: fmt::Debug> fmt::Debug for Watched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.stream).finish()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Asked first, so that whoever waits for bytes is woken when it is closed.
        if !self.closed.is_cancelled() {
            let _ = self.told.as_mut().poll(context);
        }
        let stream = self.open()?;
        Pin::new(stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.open()?).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.open()?).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
