//! Answers in dockerd's manner: JSON, `{"message": …}` errors, empty ones, streams.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;

pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;
pub(super) type Reply = Response<Body>;

/// A refusal: status and the words of Docker's error.
#[derive(Debug)]
pub(super) struct Refusal(pub StatusCode, pub String);

impl Refusal {
    pub fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }
    pub fn not_found(message: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, message.into())
    }
    pub fn conflict(message: impl Into<String>) -> Self {
        Self(StatusCode::CONFLICT, message.into())
    }
    pub fn server(message: impl Into<String>) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, message.into())
    }
}

pub(super) type Outcome = Result<Reply, Refusal>;

pub(super) fn raw(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let body = Full::new(body.into()).map_err(|never| match never {});
    let mut reply = Response::new(UnsyncBoxBody::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    reply
}

pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    raw(status, "application/json", body)
}

pub(super) fn ok(body: impl Into<Bytes>) -> Reply {
    json(StatusCode::OK, body)
}

pub(super) fn value(body: &serde_json::Value) -> Reply {
    ok(body.to_string())
}

pub(super) fn empty(status: StatusCode) -> Reply {
    let body = Empty::new().map_err(|never| match never {});
    let mut reply = Response::new(UnsyncBoxBody::new(body));
    *reply.status_mut() = status;
    reply
}

pub(super) fn refused(Refusal(status, message): &Refusal) -> Reply {
    json(*status, serde_json::json!({ "message": message }).to_string() + "\n")
}

pub(super) fn stream(
    kind: &'static str,
    chunks: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
) -> Reply {
    let body = StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data)));
    let mut reply = Response::new(UnsyncBoxBody::new(body));
    reply.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    reply
}

/// `text` as a JSON string, quotes included.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
