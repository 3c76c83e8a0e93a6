//! One open socket to an engine, whatever its kind, that can be cut from outside.
//!
//! Invariants: shutting down the write half leaves the read half open (TCP FIN, or TLS
//! close_notify and then FIN); a cut wakes both halves, whichever tasks they wait in.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::Raw;
use crate::error::SeveredMark;

/// The socket proper.
pub(crate) enum Socket {
    Tcp(TcpStream),
    /// Boxed: a TLS session is some hundred bytes larger than the others.
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
    /// To a node's engine.
    Tunnel(Box<dyn Raw>),
}

/// Evaluates `$call` on the socket inside, pinned.
macro_rules! on_socket {
    ($link:expr, $io:ident => $call:expr) => {
        match &mut $link.socket {
            Socket::Tcp(io) => {
                let $io = Pin::new(io);
                $call
            }
            Socket::Tls(io) => {
                let $io = Pin::new(io.as_mut());
                $call
            }
            Socket::Unix(io) => {
                let $io = Pin::new(io);
                $call
            }
            Socket::Tunnel(io) => {
                let $io = Pin::new(io.as_mut());
                $call
            }
        }
    };
}

/// A socket, its cut, and whether anything was heard on it.
pub(crate) struct Link {
    socket: Socket,
    cut: CancellationToken,
    /// Made when a half first waits: most links of an idle pool never do on the write side.
    read_wait: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    write_wait: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    heard: Arc<AtomicBool>,
}

impl Link {
    pub(crate) fn new(socket: Socket, cut: CancellationToken) -> Self {
        Self { socket, cut, read_wait: None, write_wait: None, heard: Arc::default() }
    }

    /// Set at every byte read; whoever wants to know clears it first.
    pub(crate) fn heard(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.heard)
    }

    fn check(&self) -> io::Result<()> {
        if self.cut.is_cancelled() { Err(io::Error::other(SeveredMark)) } else { Ok(()) }
    }
}

/// A half waits: for its socket, and for the cut.
fn wait<T>(
    slot: &mut Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    cut: &CancellationToken,
    cx: &mut Context<'_>,
) -> Poll<io::Result<T>> {
    let wait = slot.get_or_insert_with(|| Box::pin(cut.clone().cancelled_owned()));
    wait.as_mut().poll(cx).map(|()| Err(io::Error::other(SeveredMark)))
}

impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let link = self.get_mut();
        link.check()?;
        let before = buf.filled().len();
        match on_socket!(link, io => io.poll_read(cx, buf)) {
            Poll::Ready(Ok(())) => {
                if buf.filled().len() > before {
                    link.heard.store(true, Ordering::Relaxed);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => wait(&mut link.read_wait, &link.cut, cx),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let link = self.get_mut();
        link.check()?;
        match on_socket!(link, io => io.poll_write(cx, data)) {
            Poll::Pending => wait(&mut link.write_wait, &link.cut, cx),
            Poll::Ready(done) => Poll::Ready(done),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let link = self.get_mut();
        link.check()?;
        match on_socket!(link, io => io.poll_write_vectored(cx, slices)) {
            Poll::Pending => wait(&mut link.write_wait, &link.cut, cx),
            Poll::Ready(done) => Poll::Ready(done),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Tcp(io) => io.is_write_vectored(),
            Socket::Tls(io) => io.is_write_vectored(),
            Socket::Unix(io) => io.is_write_vectored(),
            Socket::Tunnel(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let link = self.get_mut();
        link.check()?;
        match on_socket!(link, io => io.poll_flush(cx)) {
            Poll::Pending => wait(&mut link.write_wait, &link.cut, cx),
            Poll::Ready(done) => Poll::Ready(done),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let link = self.get_mut();
        link.check()?;
        match on_socket!(link, io => io.poll_shutdown(cx)) {
            Poll::Pending => wait(&mut link.write_wait, &link.cut, cx),
            Poll::Ready(done) => Poll::Ready(done),
        }
    }
}
