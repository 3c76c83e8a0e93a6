//! Taking in a request's body: streamed, or read whole up to a bound.
//!
//! Control bodies (a container's configuration, an exec's command) are small and are read by the
//! backend anyhow; everything else (archives, build contexts, images) is never held.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use swarm_backend::{ApiError, Body, BoxError, Result, full};

use crate::route::Intake;

/// Largest control body, bytes. A container's configuration is a few KiB; 4 MiB leaves room for
/// any environment that a kernel would still start (ARG_MAX is 2 MiB).
pub(crate) const LARGEST_CONTROL_BODY: usize = 4 << 20;

/// How long a control body may take to arrive whole.
const CONTROL_BODY_DEADLINE: Duration = Duration::from_mins(1);

/// How much of a body that the backend gave up is still read, bytes, and for how long. A client that
/// is still sending reads its answer only after; a connection closed on it shows "broken pipe" in
/// the place of the words why.
const READ_ON: usize = 64 << 20;
/// See [`READ_ON`].
const READ_ON_FOR: Duration = Duration::from_secs(10);

/// A streamed body that is read on for a while when it is dropped before its end.
struct Streamed {
    body: Option<Incoming>,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if frame.is_none() {
            self.body = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(READ_ON_FOR, read_on(body)));
        }
    }
}

async fn read_on(mut body: Incoming) {
    let mut left = READ_ON;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(length) else { return };
        left = rest;
    }
}

/// The body as it arrives.
pub(crate) fn arriving(intake: Intake, body: Incoming) -> Body {
    match intake {
        Intake::Stream => Streamed { body: Some(body) }.boxed_unsync(),
        Intake::Control | Intake::Json => body.map_err(BoxError::from).boxed_unsync(),
    }
}

/// The body as the backend gets it.
pub(crate) async fn take_in(intake: Intake, headers: &HeaderMap, body: Body) -> Result<Body> {
    if intake == Intake::Json && !body.is_end_stream() {
        check_json(headers)?;
    }
    match intake {
        Intake::Stream => Ok(body),
        Intake::Control | Intake::Json => read_whole(body).await,
    }
}

async fn read_whole(body: Body) -> Result<Body> {
    let too_large = || {
        ApiError::too_large(format!(
            "the request body is larger than {LARGEST_CONTROL_BODY} bytes, the limit for this \
             endpoint"
        ))
    };
    // A body that says it is too large is not read at all.
    if body.size_hint().lower() > LARGEST_CONTROL_BODY as u64 {
        return Err(too_large());
    }
    // Boxed: the compiler cannot see through this one that it may change threads.
    let whole = Limited::new(body, LARGEST_CONTROL_BODY).collect().boxed();
    match tokio::time::timeout(CONTROL_BODY_DEADLINE, whole).await {
        Ok(Ok(whole)) => Ok(full(whole.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(ApiError::invalid(format!("cannot read the request body: {error}"))),
        Err(_) => Err(ApiError::invalid(format!(
            "the request body did not arrive within {} seconds",
            CONTROL_BODY_DEADLINE.as_secs()
        ))),
    }
}

/// Docker's `CheckForJSON` (400), with its words; an empty body needs no type.
fn check_json(headers: &HeaderMap) -> Result<()> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::invalid(format!("Content-Type specified ({given}) must be 'application/json'")))
}
