//! Taking in a request's body: streamed, or read whole up to a bound.
//!
//! Control bodies (a container's configuration, an exec's command) are small and are read by the
//! backend anyhow; everything else (archives, build contexts, images) is never held.

use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use swarm_backend::{ApiError, Body, BoxError, Result, full};

use crate::route::Intake;

/// Largest control body, bytes. A container's configuration is a few KiB; 4 MiB leaves room for
/// any environment that a kernel would still start (ARG_MAX is 2 MiB).
pub(crate) const LARGEST_CONTROL_BODY: usize = 4 << 20;

/// How long a control body may take to arrive whole.
const CONTROL_BODY_DEADLINE: Duration = Duration::from_mins(1);

/// The body as the backend gets it.
pub(crate) async fn take_in(intake: Intake, headers: &HeaderMap, body: Incoming) -> Result<Body> {
    if intake == Intake::Json && !body.is_end_stream() {
        check_json(headers)?;
    }
    match intake {
        Intake::Stream => Ok(body.map_err(BoxError::from).boxed_unsync()),
        Intake::Control | Intake::Json => read_whole(body).await,
    }
}

async fn read_whole(body: Incoming) -> Result<Body> {
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
    let whole = Limited::new(body, LARGEST_CONTROL_BODY).collect();
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
