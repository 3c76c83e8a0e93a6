//! A connection for one request, driven by whoever waits for it instead of a task of its own.
//!
//! For upgrades: it leaves the socket in our hands, so that an engine's old way to hijack (status 200, then raw bytes) works as well as 101.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::EngineError;
use crate::idle::Lease;
use crate::link::Link;
use crate::upload::Upload;

/// The connection and its only sender.
pub(crate) struct Driven {
    sender: http1::SendRequest<Upload>,
    connection: http1::Connection<TokioIo<Link>, Upload>,
    ended: bool,
    heard: Arc<AtomicBool>,
}

impl Driven {
    /// `read_buffer` is exact, bytes; a reply's head must fit in it.
    pub(crate) async fn open(link: Link, read_buffer: usize) -> Result<Self, EngineError> {
        let heard = link.heard();
        let (sender, connection) = http1::Builder::new()
            .read_buf_exact_size(Some(read_buffer))
            .handshake(TokioIo::new(link))
            .await
            .map_err(|error| EngineError::before_reply(&error))?;
        Ok(Self { sender, connection, ended: false, heard })
    }

    /// Sends the request; returns at the reply's headers.
    pub(crate) async fn send(
        &mut self,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, EngineError> {
        let mut answer = Box::pin(self.sender.send_request(request));
        let connection = &mut self.connection;
        let ended = &mut self.ended;
        std::future::poll_fn(|cx| {
            let driven =
                if *ended { Poll::Ready(Ok(())) } else { connection.poll_without_shutdown(cx) };
            *ended = driven.is_ready();
            match (answer.as_mut().poll(cx), driven) {
                (Poll::Ready(answer), _) => {
                    Poll::Ready(answer.map_err(|e| EngineError::before_reply(&e)))
                }
                (Poll::Pending, Poll::Ready(Err(error))) => {
                    Poll::Ready(Err(EngineError::before_reply(&error)))
                }
                (Poll::Pending, Poll::Ready(Ok(()))) => Poll::Ready(Err(EngineError::Http(
                    "the engine closed the connection without an answer".to_owned(),
                ))),
                (Poll::Pending, Poll::Pending) => Poll::Pending,
            }
        })
        .await
    }

    /// Waits until both sides have switched protocols.
    pub(crate) async fn switched(&mut self) -> Result<(), EngineError> {
        if !self.ended {
            let driven = std::future::poll_fn(|cx| self.connection.poll_without_shutdown(cx)).await;
            self.ended = true;
            driven.map_err(|error| EngineError::before_reply(&error))?;
        }
        Ok(())
    }

    /// The socket, and what was read of it already.
    pub(crate) fn into_raw(self, before: Option<BytesMut>) -> (Link, Bytes) {
        let parts = self.connection.into_parts();
        let rest = match before {
            None => parts.read_buf,
            Some(mut first) => {
                first.extend_from_slice(&parts.read_buf);
                first.freeze()
            }
        };
        (parts.io.into_inner(), rest)
    }

    /// An ordinary connection after all.
    pub(crate) fn into_lease(self) -> Lease {
        Lease::driving(self.sender, self.connection, self.heard)
    }
}
