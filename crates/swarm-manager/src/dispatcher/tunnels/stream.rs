//! A tunnel that is open: the engine's bytes, until its session ends.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A connection, whatever is under it.
pub trait Raw: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Raw for T {}

type Over = Pin<Box<WaitForCancellationFutureOwned>>;

/// A connection to a node's engine. Both halves fail when the node's session ends.
pub struct Tunnel {
    raw: Box<dyn Raw>,
    /// One for each half, that may wait in different tasks.
    over: (Over, Over),
    /// Among the node's.
    _place: OwnedSemaphorePermit,
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tunnel")
    }
}

impl Tunnel {
    pub(super) fn new(
        raw: Box<dyn Raw>,
        over: &CancellationToken,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let wait = || Box::pin(over.clone().cancelled_owned());
        Self { raw, over: (wait(), wait()), _place: place }
    }
}

fn goes_on(over: &mut Over, context: &mut Context<'_>) -> io::Result<()> {
    match over.as_mut().poll(context) {
        Poll::Pending => Ok(()),
        Poll::Ready(()) => {
            let words = "the session of the engine's node ended";
            Err(io::Error::new(io::ErrorKind::ConnectionAborted, words))
        }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        goes_on(&mut self.over.0, context)?;
        Pin::new(&mut self.raw).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        goes_on(&mut self.over.1, context)?;
        Pin::new(&mut self.raw).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        goes_on(&mut self.over.1, context)?;
        Pin::new(&mut self.raw).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.raw.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        goes_on(&mut self.over.1, context)?;
        Pin::new(&mut self.raw).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.raw).poll_shutdown(context)
    }
}
