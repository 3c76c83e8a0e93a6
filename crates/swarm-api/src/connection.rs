//! One client's connection: HTTP/1.1 on any stream, to its end.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::endpoint::Endpoint;
use crate::eof::{EofHold, Phases};
use crate::refusal::Worded;
use crate::surface::Surface;

/// How long a connection may stay without a complete request head. It covers idle keep-alive
/// connections too, which SDKs hold for a while, so it is generous; the connection limit is what
/// bounds a flood of slow clients.
const HEAD_DEADLINE: Duration = Duration::from_mins(2);

/// Largest request head, and most that is buffered per connection and direction, bytes. Registry
/// credentials (`X-Registry-Config`) can be tens of KiB. Larger heads get 431.
pub(crate) const LARGEST_HEAD: usize = 128 << 10;

/// A connection's place in the server.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// What the connection is doing.
    pub phases: Phases,
    /// Runs what outlives the HTTP part of a connection.
    pub tracker: TaskTracker,
    /// Cancelled when the server begins to end.
    pub stopping: CancellationToken,
    /// Cancelled when everything must end now.
    pub kill: CancellationToken,
    /// The connection's place under the limit, freed with the last part of it.
    pub permit: Arc<OwnedSemaphorePermit>,
}

impl Link {
    /// Runs `raw` until it ends or the server does; it keeps the connection's place meanwhile.
    pub(crate) fn spawn(&self, raw: impl Future<Output = ()> + Send + 'static) {
        let (kill, permit) = (self.kill.clone(), Arc::clone(&self.permit));
        self.tracker.spawn(async move {
            let _ = kill.run_until_cancelled(raw).await;
            drop(permit);
        });
    }
}

/// Answers the requests of one connection. When the server begins to end the request under way is the
/// last one.
pub(crate) async fn drive<S, B>(stream: S, surface: Arc<Surface<B>>, link: Link)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Endpoint + ?Sized,
{
    let stream = Worded::new(stream, link.phases.clone());
    let io = TokioIo::new(EofHold::new(stream, link.phases.clone()));
    let service = service_fn(|request| {
        let (surface, link) = (Arc::clone(&surface), link.clone());
        async move { Ok::<_, Infallible>(surface.answer(request, &link).await) }
    });
    // Not `half_close(true)`: with it a silent stream would outlive its client until its next
    // byte, as hyper would no longer look for the end. See `eof` for the clients that need it.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(io, service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = link.stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended");
    }
}
