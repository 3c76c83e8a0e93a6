//! A client's connection whose end of input is held back while a request is under way.
//!
//! hyper takes the end of input during a request for the end of the client. That is how Docker
//! treats it too, and what frees a silent `events` or `logs -f` when its client is gone. Two
//! clients mean something else by it: one that asks for an upgrade and has already ended its stdin
//! (a half-close that the engine must see, after the 101), and one like `socat` that closes its
//! half right after a short request and waits for the answer.
//!
//! Invariants: between requests an end of input is reported at once; during a request after
//! [`GRACE`]; from an upgrade's request until both sides have switched, not at all.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a request goes on after its client's end of input.
const GRACE: Duration = Duration::from_secs(2);

/// What a connection is doing, as far as its end of input is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Between requests, or after the switch: report at once.
    Open = 0,
    /// A request is under way: report after a grace.
    Request = 1,
    /// An upgrade is being asked for: hold back.
    Upgrade = 2,
}

/// Shared between a connection's stream and the service that answers on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Phases(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    phase: AtomicU8,
    /// Whether any request has reached the service.
    served: AtomicBool,
    changed: AtomicWaker,
}

impl Phases {
    pub(crate) fn set(&self, phase: Phase) {
        if phase != Phase::Open {
            self.0.served.store(true, Ordering::Release);
        }
        self.0.phase.store(phase as u8, Ordering::Release);
        self.0.changed.wake();
    }

    /// Whether any request of this connection has reached the service.
    pub(crate) fn served(&self) -> bool {
        self.0.served.load(Ordering::Acquire)
    }

    fn get(&self) -> Phase {
        match self.0.phase.load(Ordering::Acquire) {
            1 => Phase::Request,
            2 => Phase::Upgrade,
            _ => Phase::Open,
        }
    }
}

/// The stream hyper reads from; writes pass straight through.
#[derive(Debug)]
pub(crate) struct EofHold<S> {
    stream: S,
    phases: Phases,
    grace: Option<Pin<Box<Sleep>>>,
}

impl<S> EofHold<S> {
    pub(crate) fn new(stream: S, phases: Phases) -> Self {
        Self { stream, phases, grace: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for EofHold<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        let ended = matches!(read, Poll::Ready(Ok(())))
            && buf.filled().len() == before
            && buf.remaining() > 0;
        if !ended {
            return read;
        }
        // Registered before the phase is read, so that no change between the two is missed.
        this.phases.0.changed.register(cx.waker());
        match this.phases.get() {
            Phase::Open => Poll::Ready(Ok(())),
            Phase::Upgrade => Poll::Pending,
            Phase::Request => {
                this.grace.get_or_insert_with(|| Box::pin(sleep(GRACE))).as_mut().poll(cx).map(Ok)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for EofHold<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn the_end_of_input_is_told_when_the_phase_allows() {
        let phases = Phases::default();
        let mut held = EofHold::new(&b"ab"[..], phases.clone());
        let mut buf = [0; 8];
        phases.set(Phase::Upgrade);
        assert_eq!(held.read(&mut buf).await.unwrap(), 2);
        assert!(timeout(Duration::from_hours(1), held.read(&mut buf)).await.is_err());

        phases.set(Phase::Request);
        let started = tokio::time::Instant::now();
        assert_eq!(held.read(&mut buf).await.unwrap(), 0);
        assert_eq!(started.elapsed(), GRACE);

        phases.set(Phase::Open);
        assert_eq!(held.read(&mut buf).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_change_of_phase_wakes_the_reader() {
        let phases = Phases::default();
        phases.set(Phase::Upgrade);
        let mut held = EofHold::new(tokio::io::empty(), phases.clone());
        let reader = tokio::spawn(async move { held.read(&mut [0; 8]).await.unwrap() });
        tokio::task::yield_now().await;
        phases.set(Phase::Open);
        assert_eq!(timeout(Duration::from_secs(5), reader).await.unwrap().unwrap(), 0);
    }
}
