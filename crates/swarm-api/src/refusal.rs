//! Words for the requests that never become one: heads that are malformed or too large.
//!
//! hyper answers those itself, with the right status and no body, before any service is called. A
//! client should read what was wrong, so this stream puts Docker's kind of body in its place. Only
//! a connection's first request can be told from other traffic for certain; later ones keep
//! hyper's bare status.
//!
//! Invariants: once a request has reached the service nothing is touched any more; after a refusal
//! what the client still sends is read away for a moment ([`DRAIN`]), for closing over it would
//! reset the connection and lose the answer.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use swarm_backend::ApiError;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::eof::Phases;

/// Largest request head, and most that is buffered per connection and direction, bytes. Registry
/// credentials (`X-Registry-Config`) can be tens of KiB. Larger heads get 431.
pub(crate) const LARGEST_HEAD: usize = 128 << 10;

/// How long a refused client's remaining input is read away.
const DRAIN: Duration = Duration::from_millis(500);

/// A client's stream under hyper.
#[derive(Debug)]
pub(crate) struct Worded<S> {
    stream: S,
    phases: Phases,
    /// What is left of a refusal to write; `Some` from the moment there is one.
    refusal: Option<Bytes>,
    drain: Option<Pin<Box<Sleep>>>,
}

impl<S> Worded<S> {
    pub(crate) fn new(stream: S, phases: Phases) -> Self {
        Self { stream, phases, refusal: None, drain: None }
    }
}

/// The answer in place of hyper's, whose status line is `HTTP/1.1 431 …`.
fn refusal_for(head: &[u8]) -> Bytes {
    let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    let (line, message) = match status {
        Some("431") => (
            "431 Request Header Fields Too Large",
            format!(
                "the request's headers are too large: at most {LARGEST_HEAD} bytes and 100 headers"
            ),
        ),
        Some("414") => ("414 URI Too Long", "the request's URL is too long".to_owned()),
        _ => (
            "400 Bad Request",
            "malformed HTTP request: its first line or one of its headers cannot be read"
                .to_owned(),
        ),
    };
    let body = ApiError::invalid(message).to_json();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {line}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    [head.into_bytes(), body].concat().into()
}

impl<S: AsyncRead + Unpin> AsyncRead for Worded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Worded<S> {
    /// Takes hyper's own answer and keeps ours; `None` when the write is a service's.
    fn replace(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.refusal.is_none() && self.phases.served() {
            return None;
        }
        self.refusal.get_or_insert_with(|| refusal_for(bytes));
        Some(bytes.len())
    }

    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left) = self.refusal.as_mut().filter(|left| !left.is_empty()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, left))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            left.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.drain.get_or_insert_with(|| Box::pin(sleep(DRAIN)));
        let mut scratch = [0; 4096];
        loop {
            if deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut rest = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut rest)) {
                Ok(()) if !rest.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Worded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.replace(bytes) {
            Some(taken) => Poll::Ready(Ok(taken)),
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.drain.is_none() {
            ready!(self.poll_refusal(cx))?;
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        if self.refusal.is_some() {
            ready!(self.poll_drain(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
        match self.replace(first) {
            Some(taken) => Poll::Ready(Ok(taken)),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
