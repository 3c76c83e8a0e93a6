//! One request and its reply, free of any HTTP library: what a surface hands to a backend and gets
//! back.
//!
//! Bodies are streams in both directions; a backend never buffers more of one than it must read.
//! A reply with status 101 carries the raw connection that follows it.

use bytes::{Bytes, BytesMut};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use swarm_docker::{ApiError, ApiVersion, Query};

/// Everything but the letters of Docker's references and names (`reg:5000/a_b-c.d:tag@sha256:0f`).
const NOT_IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b':')
    .remove(b'@')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Any error of a body or a raw connection.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// A streamed body.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A body of ready bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body of nothing.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// Reads a client's body that must be whole to be understood, of at most `limit` bytes.
pub async fn read_whole(mut body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| ApiError::invalid(format!("the body broke off: {error}")))?;
        if let Ok(data) = frame.into_data() {
            if whole.len() + data.len() > limit {
                return Err(ApiError::too_large(format!("a document of more than {limit} bytes")));
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}

/// A raw two-way connection after an upgrade. Closing the write half is a half-close: the read
/// half goes on (Docker's end of stdin).
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// The raw connection that follows a 101 reply, once both sides have switched.
pub type Upgraded = BoxFuture<'static, Result<Box<dyn Duplex>, BoxError>>;

/// A request's path without its version, cut around the one object it names:
/// `/containers/` + NAME + `/start`. Paths that name no object have everything in `before`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectPath {
    /// Up to the object's name.
    pub before: String,
    /// From the end of the object's name.
    pub after: String,
}

impl ObjectPath {
    /// A path that names no object.
    pub fn whole(path: impl Into<String>) -> Self {
        Self { before: path.into(), after: String::new() }
    }

    /// The path with `object`, not encoded, in its place. What could end the path or begin a query
    /// is encoded here, so that no name a client thinks up can change what an engine is asked.
    pub fn with(&self, object: &str) -> String {
        let object = percent_encoding::utf8_percent_encode(object, NOT_IN_A_PATH).to_string();
        [self.before.as_str(), object.as_str(), self.after.as_str()].concat()
    }
}

/// A client's request on its way to one or more engines.
pub struct Exchange {
    /// The method.
    pub method: Method,
    /// The path, unversioned.
    pub path: ObjectPath,
    /// The query, decoded.
    pub query: Query,
    /// The version the client asked for; `None` when its path had no prefix.
    pub version: Option<ApiVersion>,
    /// The client's headers, without the hop-by-hop ones.
    pub headers: HeaderMap,
    /// The protocol named in `Upgrade:` when the client asked for one (`tcp`, `h2c`, `websocket`).
    pub upgrade: Option<String>,
    /// The body.
    pub body: Body,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers can hold registry credentials: only what is never secret is shown.
        write!(f, "{} {}…{}", self.method, self.path.before, self.path.after)
    }
}

impl Exchange {
    /// With the object that its path names back in its place, for whoever passes it on as it came.
    #[must_use]
    pub fn naming(mut self, object: &str) -> Self {
        self.path = ObjectPath::whole(self.path.with(object));
        self
    }

    /// A request with no body, for the backend's own questions.
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: ObjectPath::whole(path),
            query: Query::default(),
            version: None,
            headers: HeaderMap::new(),
            upgrade: None,
            body: empty(),
        }
    }
}

/// An answer on its way back to the client.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers, without the hop-by-hop ones.
    pub headers: HeaderMap,
    /// The body; empty for a 101.
    pub body: Body,
    /// Present exactly when `status` is 101.
    pub upgraded: Option<Upgraded>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: StatusCode, json: impl Into<Bytes>) -> Self {
        Self::streaming_json(status, full(json))
    }

    /// A JSON answer whose body is produced while it is sent.
    pub fn streaming_json(status: StatusCode, body: Body) -> Self {
        let mut headers = HeaderMap::new();
        let json = http::HeaderValue::from_static("application/json");
        headers.insert(http::header::CONTENT_TYPE, json);
        Self { status, headers, body, upgraded: None }
    }

    /// `value` as JSON with status 200.
    pub fn ok<T: serde::Serialize>(value: &T) -> Result<Self, ApiError> {
        Self::encode(StatusCode::OK, value)
    }

    /// `value` as JSON with `status`.
    pub fn encode<T: serde::Serialize>(status: StatusCode, value: &T) -> Result<Self, ApiError> {
        serde_json::to_vec(value)
            .map(|json| Self::json(status, json))
            .map_err(|error| ApiError::system(format!("cannot encode the answer: {error}")))
    }

    /// An answer with no body.
    pub fn no_content() -> Self {
        let headers = HeaderMap::new();
        Self { status: StatusCode::NO_CONTENT, headers, body: empty(), upgraded: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_a_query_or_another_path() {
        let path = ObjectPath { before: "/images/".into(), after: "/json".into() };
        assert_eq!(
            path.with("reg:5000/a/b_c-d.e:1@sha256:0f"),
            "/images/reg:5000/a/b_c-d.e:1@sha256:0f/json"
        );
        assert_eq!(path.with("a?force=1#x y%2e"), "/images/a%3Fforce%3D1%23x%20y%252e/json");
    }
}
