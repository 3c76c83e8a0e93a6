//! Requests that ask for the connection itself: attach and exec (`Upgrade: tcp`), websockets,
//! BuildKit sessions (`Upgrade: h2c`).
//!
//! `POST /containers/{id}/attach`, `POST /exec/{id}/start` (v1.24 and up): an engine answers 101
//! and the connection is raw from then on. Engines, and proxies before them, that ignore `Upgrade`
//! hijack all the same and say 200 with a raw-stream content type; that comes out as 101 here. Any
//! other answer is an ordinary reply.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use swarm_backend::{BoxError, Duplex, Reply};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::EngineError;
use crate::driven::Driven;
use crate::idle::Idle;
use crate::link::Link;
use crate::reply::{Hold, reply};
use crate::request::{Head, strip_hop_by_hop};
use crate::upload::Upload;

/// Holds any reply head an engine writes; what follows is read past it.
const READ_BUFFER: usize = 16 * 1024;

/// Sends the request on a connection of its own.
pub(crate) async fn hijack(
    link: Link,
    head: Head,
    upload: Upload,
    idle: &Arc<Idle>,
) -> Result<Reply, EngineError> {
    let mut driven = Driven::open(link, READ_BUFFER).await?;
    let response = driven.send(head.with(upload.clone())).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(switching(response, driven));
    }
    if response.status() == StatusCode::OK && is_raw(response.headers()) {
        return Ok(seizing(response, driven));
    }
    let hold = Hold { lease: driven.into_lease(), idle: Arc::clone(idle), upload };
    Ok(reply(response, hold))
}

/// A 200 whose body is not HTTP's any more: Docker's stream types without any framing.
fn is_raw(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    matches!(
        kind,
        Some(b"application/vnd.docker.raw-stream" | b"application/vnd.docker.multiplexed-stream")
    ) && !headers.contains_key(CONTENT_LENGTH)
        && !headers.contains_key(TRANSFER_ENCODING)
}

fn switching(response: Response<Incoming>, mut driven: Driven) -> Reply {
    let upgraded = async move {
        // The engine may switch before it has read the request's body to its end.
        driven.switched().await?;
        let (link, rest) = driven.into_raw(None);
        Ok::<_, BoxError>(raw(link, rest))
    };
    upgraded_reply(response, Box::pin(upgraded))
}

fn seizing(mut response: Response<Incoming>, driven: Driven) -> Reply {
    // hyper may have put a first chunk into the body; nothing more comes while it is not driven.
    let mut first = BytesMut::new();
    let mut cx = Context::from_waker(std::task::Waker::noop());
    while let Poll::Ready(Some(Ok(frame))) = Pin::new(response.body_mut()).poll_frame(&mut cx) {
        if let Ok(data) = frame.into_data() {
            first.extend_from_slice(&data);
        }
    }
    let (link, rest) = driven.into_raw(Some(first));
    upgraded_reply(response, Box::pin(std::future::ready(Ok(raw(link, rest)))))
}

fn upgraded_reply(response: Response<Incoming>, upgraded: swarm_backend::Upgraded) -> Reply {
    let (mut parts, _) = response.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    Reply {
        status: StatusCode::SWITCHING_PROTOCOLS,
        headers: parts.headers,
        body: swarm_backend::empty(),
        upgraded: Some(upgraded),
    }
}

fn raw(link: Link, rest: Bytes) -> Box<dyn Duplex> {
    Box::new(Raw { link, rest }.compat())
}

/// The socket, and first what was read ahead of it.
struct Raw {
    link: Link,
    rest: Bytes,
}

impl AsyncRead for Raw {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            return Pin::new(&mut self.link).poll_read(cx, buf);
        }
        let some = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..some]);
        self.rest.advance(some);
        if self.rest.is_empty() {
            // Lets go of the read-ahead buffer.
            self.rest = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Raw {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.link).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.link).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.link.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_shutdown(cx)
    }
}
