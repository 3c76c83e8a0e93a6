//! Answers, each with the headers that keep a page to itself.

use http::header::{self, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;
use swarm_backend::{ApiError, Body, full};

/// Nothing but our own files, no frame around us, no form, no inline script or style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

const ALWAYS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // What is shown is of the moment, and not for a cache's disk.
    (header::CACHE_CONTROL, "no-store"),
];

/// An answer.
pub fn answer(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// A stream of server-sent events.
pub fn stream(body: Body) -> Response<Body> {
    let mut answer = answer(StatusCode::OK, "text/event-stream; charset=utf-8", body);
    // nginx would hold events back.
    answer
        .headers_mut()
        .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    answer
}

/// A refusal that a person can act on.
pub fn refuse(status: StatusCode, message: &str) -> Response<Body> {
    let body = json!({"message": message}).to_string();
    answer(status, "application/json", full(body))
}

/// A backend's error.
pub fn error(error: &ApiError) -> Response<Body> {
    refuse(error.status(), &error.message)
}
