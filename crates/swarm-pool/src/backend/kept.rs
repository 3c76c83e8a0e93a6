//! Something kept for as long as a stream runs: a build's place on its engine, a session's pin.
//!
//! Invariant: what is kept is let go when the stream has ended or is dropped, whichever is first, so
//! that a client who has read an answer to its end finds everything after it settled.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use swarm_backend::{Body, BoxError, Duplex, Reply};

/// Keeps `guard` until the reply's body has ended, or its raw connection is closed.
pub(super) fn keep(reply: Reply, guard: impl Any + Send) -> Reply {
    let Reply { status, headers, body, upgraded } = reply;
    match upgraded {
        None => {
            let body = KeptBody { body, guard: Some(Box::new(guard)) }.boxed_unsync();
            Reply { status, headers, body, upgraded: None }
        }
        Some(upgraded) => {
            let raw = async move {
                let raw = upgraded.await?;
                Ok(Box::new(KeptRaw { raw, _guard: Box::new(guard) }) as Box<dyn Duplex>)
            };
            Reply { status, headers, body, upgraded: Some(Box::pin(raw)) }
        }
    }
}

struct KeptBody {
    body: Body,
    guard: Option<Box<dyn Any + Send>>,
}

impl HttpBody for KeptBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(frame) = &polled
            && (frame.is_none() || self.body.is_end_stream())
        {
            self.guard = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct KeptRaw {
    raw: Box<dyn Duplex>,
    _guard: Box<dyn Any + Send>,
}

impl AsyncRead for KeptRaw {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.raw).poll_read(cx, buffer)
    }
}

impl AsyncWrite for KeptRaw {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.raw).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.raw).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.raw).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use std::sync::Arc;

    #[tokio::test]
    async fn what_is_kept_goes_with_the_end_of_the_body() {
        let guard = Arc::new(());
        let reply = keep(Reply::json(StatusCode::OK, "{}"), Arc::clone(&guard));
        assert_eq!(Arc::strong_count(&guard), 2);
        let mut body = reply.body;
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "{}");
        assert!(body.frame().await.is_none());
        assert_eq!(Arc::strong_count(&guard), 1, "the body is still there, but it has ended");
        let dropped = keep(Reply::json(StatusCode::OK, "{}"), Arc::clone(&guard));
        drop(dropped);
        assert_eq!(Arc::strong_count(&guard), 1);
    }
}
