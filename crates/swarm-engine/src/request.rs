//! A request as its caller states it, and as it is written to the engine.
//!
//! Headers go through as they are, but for those that belong to one connection (RFC 9110 7.6.1),
//! `Host`, and `Expect` (the body is sent at once, so there is nothing to wait for).

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, Method, Uri};
use swarm_backend::{Body, Exchange, Onward};
use swarm_docker::ApiVersion;

use crate::EngineError;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("swarm/", env!("CARGO_PKG_VERSION")));

/// Headers of one connection, besides those its `Connection` header names.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authorization"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// A request to an engine.
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// The path without a version, and its encoded query: `/containers/json?all=1`.
    pub path_and_query: String,
    /// The version the client asked for, brought into the engine's range; `None` is the newest both
    /// speak. While the range is not negotiated, the client's own or none is written.
    pub version: Option<ApiVersion>,
    /// Passed on, but for the hop-by-hop ones, `Host` and `Expect`; `User-Agent` is added when
    /// there is none.
    pub headers: HeaderMap,
    /// Streamed. When its length is known it replaces `Content-Length`.
    pub body: Body,
    /// The protocol to upgrade to (`tcp`, `h2c`, `websocket`).
    pub upgrade: Option<String>,
}

impl Outgoing {
    /// A client's request as an engine gets it, at `path`.
    pub fn of(exchange: Exchange, path: &str) -> Self {
        let query = exchange.query.encode();
        let path_and_query =
            if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        Self {
            method: exchange.method,
            path_and_query,
            version: exchange.version,
            headers: exchange.headers,
            body: exchange.body,
            upgrade: exchange.upgrade,
        }
    }

    /// A client's request as another manager gets it: as it came.
    pub fn onward(request: Onward) -> Self {
        Self {
            method: request.method,
            path_and_query: request.target,
            // The target has it already.
            version: None,
            headers: request.headers,
            body: request.body,
            upgrade: request.upgrade,
        }
    }

    /// A plain `GET` in the newest version both speak.
    pub fn get(path_and_query: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path_and_query: path_and_query.into(),
            version: None,
            headers: HeaderMap::new(),
            body: swarm_backend::empty(),
            upgrade: None,
        }
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers and queries can hold credentials.
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        write!(f, "{} {path}", self.method)
    }
}

/// What is written of a request besides its body.
#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl Head {
    /// `size` is the body's length when known.
    pub(crate) fn new(
        request: &mut Outgoing,
        prefix: Option<ApiVersion>,
        host: &HeaderValue,
        size: Option<u64>,
    ) -> Result<Self, EngineError> {
        let path = request.path_and_query.as_str();
        if !path.starts_with('/') {
            return Err(EngineError::Request("the path does not begin with /".to_owned()));
        }
        let target = prefix.map_or_else(|| path.to_owned(), |v| format!("/v{v}{path}"));
        let uri = Uri::try_from(target).map_err(|error| {
            EngineError::Request(format!("the path or query cannot be sent: {error}"))
        })?;
        let mut headers = std::mem::take(&mut request.headers);
        strip_hop_by_hop(&mut headers);
        headers.remove(EXPECT);
        if size.is_some() {
            // hyper writes the true one; a caller that changed the body may have left the old.
            headers.remove(CONTENT_LENGTH);
        }
        headers.insert(HOST, host.clone());
        headers.entry(USER_AGENT).or_insert(AGENT);
        if let Some(protocol) = &request.upgrade {
            let protocol = HeaderValue::try_from(protocol.as_str()).map_err(|_| {
                EngineError::Request("the protocol to upgrade to is no header value".to_owned())
            })?;
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, protocol);
        }
        Ok(Self { method: request.method.clone(), uri, headers })
    }

    /// As it is written on a connection without a body and without hyper.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.uri).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    pub(crate) fn with<B>(self, body: B) -> http::Request<B> {
        let mut request = http::Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}

/// Removes the headers that end at this connection.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(mut request: Outgoing, prefix: Option<ApiVersion>, size: Option<u64>) -> Head {
        Head::new(&mut request, prefix, &HeaderValue::from_static("h:1"), size).unwrap()
    }

    #[test]
    fn hop_by_hop_headers_stay_and_the_rest_goes_on() {
        let mut request = Outgoing::get("/images/create?fromImage=a%2Fb");
        for (name, value) in [
            ("connection", "close, x-only-here"),
            ("x-only-here", "1"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("host", "elsewhere"),
            ("x-registry-auth", "abc"),
            ("content-type", "application/json"),
        ] {
            request.headers.insert(name, HeaderValue::from_static(value));
        }
        let head = head(request, Some(ApiVersion::new(1, 41)), None);
        assert_eq!(head.uri, "/v1.41/images/create?fromImage=a%2Fb");
        assert_eq!(head.headers["host"], "h:1");
        assert_eq!(head.headers["x-registry-auth"], "abc");
        assert_eq!(head.headers["user-agent"], AGENT);
        assert_eq!(head.headers.len(), 4, "{:?}", head.headers);
    }

    #[test]
    fn a_stale_content_length_gives_way_to_the_true_one() {
        let request = || {
            let mut request = Outgoing::get("/x");
            request.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("7"));
            request
        };
        assert!(!head(request(), None, Some(9)).headers.contains_key(CONTENT_LENGTH));
        assert_eq!(head(request(), None, None).headers[CONTENT_LENGTH], "7");
    }

    #[test]
    fn what_cannot_be_written_is_refused_before_anything_is_sent() {
        for path in ["containers/json", "", "/a b", "/a\r\nX: y"] {
            let host = HeaderValue::from_static("h");
            let error = Head::new(&mut Outgoing::get(path), None, &host, None).err().unwrap();
            assert!(matches!(error, EngineError::Request(_)), "{path:?}: {error}");
            assert!(!error.is_connection());
        }
    }

    #[test]
    fn debug_shows_neither_headers_nor_query() {
        let mut request = Outgoing::get("/build?buildargs=secret");
        request.headers.insert("x-registry-auth", HeaderValue::from_static("secret"));
        assert_eq!(format!("{request:?}"), "GET /build");
    }
}
