//! Headers: what is taken off on the way in and out, and what every answer carries.
//!
//! Invariant: nothing that describes one connection (RFC 9110 section 7.6.1) crosses to another,
//! and lengths are taken from bodies, never from a header that a merge may have made wrong.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response};
use swarm_docker::ApiVersion;

/// Headers about one connection, whether or not `Connection:` names them.
static HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Longest protocol name taken from `Upgrade:`, bytes.
const LONGEST_PROTOCOL: usize = 64;

/// Takes off what is about one connection only.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// What a client sends and an engine must not see: this server's own name, and the length and
/// expectation that belong to the body as it arrives here.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    for name in [header::HOST, header::CONTENT_LENGTH, header::EXPECT] {
        headers.remove(name);
    }
}

/// The protocol a client asks to switch to: `Connection: Upgrade` and one plain `Upgrade:`.
pub(crate) fn wanted_upgrade(headers: &HeaderMap) -> Option<String> {
    let asked = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    let protocol = headers.get(header::UPGRADE)?.to_str().ok()?.trim();
    let plain = protocol.bytes().all(|b| b.is_ascii_alphanumeric() || b"-./_".contains(&b));
    let short = (1..=LONGEST_PROTOCOL).contains(&protocol.len());
    (asked && plain && short).then(|| protocol.to_owned())
}

/// What every answer carries, whatever it is.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    server: HeaderValue,
    cors: bool,
}

impl Signature {
    /// `version` is this product's, as in `Server: Swarm/0.1.0 (linux)`.
    pub(crate) fn new(version: &str, cors: bool) -> Self {
        let server = HeaderValue::try_from(format!("Swarm/{version} (linux)"))
            .unwrap_or(HeaderValue::from_static("Swarm (linux)"));
        Self { server, cors }
    }

    /// Takes off what is about the engine's connection and adds what Docker clients read.
    pub(crate) fn sign<B>(&self, method: &Method, newest: ApiVersion, answer: &mut Response<B>) {
        let headers = answer.headers_mut();
        strip_hop_by_hop(headers);
        // A HEAD has no body to tell the length; everywhere else the body itself does.
        if method != Method::HEAD {
            headers.remove(header::CONTENT_LENGTH);
        }
        headers.insert(header::SERVER, self.server.clone());
        if let Ok(newest) = HeaderValue::try_from(newest.to_string()) {
            headers.insert("api-version", newest);
        }
        headers.insert("ostype", HeaderValue::from_static("linux"));
        headers.insert("docker-experimental", HeaderValue::from_static("false"));
        if self.cors {
            // The same three that classic Swarm sent with --api-enable-cors.
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("Origin, X-Requested-With, Content-Type, Accept"),
            );
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, POST, DELETE, PUT, OPTIONS"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_belongs_to_one_connection_does_not_cross() {
        let mut given = headers(&[
            ("connection", "keep-alive, X-Secret-Hop"),
            ("connection", "upgrade"),
            ("x-secret-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "tcp"),
            ("te", "trailers"),
            ("host", "pool:2375"),
            ("content-length", "12"),
            ("content-type", "application/x-tar"),
            ("x-registry-auth", "e30="),
            ("sec-websocket-key", "abc"),
        ]);
        strip_request(&mut given);
        let mut left: Vec<_> = given.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-type", "sec-websocket-key", "x-registry-auth"]);
    }

    #[test]
    fn an_upgrade_needs_both_headers() {
        let wanted = |pairs| wanted_upgrade(&headers(pairs));
        assert_eq!(
            wanted(&[("connection", "Upgrade"), ("upgrade", "tcp")]).as_deref(),
            Some("tcp")
        );
        let h2c = wanted(&[("connection", "keep-alive, upgrade"), ("upgrade", "h2c")]);
        assert_eq!(h2c.as_deref(), Some("h2c"));
        assert_eq!(wanted(&[("upgrade", "tcp")]), None);
        assert_eq!(wanted(&[("connection", "upgrade")]), None);
        assert_eq!(wanted(&[("connection", "upgrade"), ("upgrade", "a b")]), None);
        assert_eq!(wanted(&[("connection", "upgrade"), ("upgrade", "")]), None);
    }
}
