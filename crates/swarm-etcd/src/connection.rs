//! One HTTP/2 connection to one endpoint, and why it ended.
//!
//! Two kinds: calls have a deadline each and need nothing more; a watch only reads, so its
//! connection is pinged. Dropping the last clone ends the connection without waiting for an
//! endpoint that is silent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tonic::body::Body;

use crate::fault::{Fault, of_end};
use crate::socket::Socket;

/// etcd takes a ping every 5 s at most (`--grpc-keepalive-min-time`), and cuts off who sends more.
const PING_AFTER: Duration = Duration::from_secs(6);
/// With it, a silent endpoint is left after 10 s at the latest.
const PING_ANSWER: Duration = Duration::from_secs(4);
/// What may be on its way to us unread, of a stream and of the connection: a page of a long list.
const WINDOW: u32 = 4 << 20;

/// How long after a failed request the reason of the connection's end may come.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Calls,
    Watches,
}

/// A connection; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    origin: Uri,
    life: Arc<Life>,
}

#[derive(Debug)]
struct Life {
    task: AbortHandle,
    end: watch::Receiver<Option<Fault>>,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Speaks HTTP/2 over a socket. What answers is not known yet: the first call tells.
    pub(crate) async fn open(
        endpoint: &str,
        encrypted: bool,
        socket: Socket,
        purpose: Purpose,
    ) -> Result<Self, Fault> {
        let scheme = if encrypted { "https" } else { "http" };
        let origin = Uri::builder().scheme(scheme).authority(endpoint).path_and_query("/").build();
        let origin = origin.map_err(|error| Fault::unsent(endpoint, error))?;
        let mut builder = Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
        if purpose == Purpose::Watches {
            builder.keep_alive_interval(PING_AFTER).keep_alive_timeout(PING_ANSWER);
        }
        let trouble = socket.trouble();
        let (sender, connection) = builder
            .handshake(TokioIo::new(socket))
            .await
            .map_err(|error| of_end(endpoint, encrypted, &error, &trouble))?;
        let (told, end) = watch::channel(None);
        let name = endpoint.to_owned();
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                told.send_replace(Some(of_end(&name, encrypted, &error, &trouble)));
            }
        });
        let life = Arc::new(Life { task: task.abort_handle(), end });
        Ok(Self { sender, origin, life })
    }

    /// The address that requests name.
    pub(crate) fn origin(&self) -> Uri {
        self.origin.clone()
    }

    /// Whether it ended.
    pub(crate) fn is_over(&self) -> bool {
        self.sender.is_closed()
    }

    /// Why it ended, where it is ending and not in peace: a request that fails with it is told so a
    /// moment before the connection itself is.
    pub(crate) async fn end(&self) -> Option<Fault> {
        let mut end = self.life.end.clone();
        let told = tokio::time::timeout(LAST_WORDS, end.wait_for(Option::is_some)).await;
        told.ok()?.ok()?.clone()
    }
}

impl tower_service::Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}
