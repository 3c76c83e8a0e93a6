//! One client's connection: HTTP/1.1 on any stream, to its end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use crate::endpoint::Endpoint;
use crate::eof::EofHold;
use crate::link::Link;
use crate::refusal::{LARGEST_HEAD, Worded};
use crate::surface::Surface;

/// How long a connection may stay without a complete request head. It covers idle keep-alive
/// connections too, which SDKs hold for a while, so it is generous; the connection limit is what
/// bounds a flood of slow clients.
const HEAD_DEADLINE: Duration = Duration::from_mins(2);

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
