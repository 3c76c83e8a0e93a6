//! The port a surface asks first, before it looks into a request: is it for this manager, or for
//! another one?
//!
//! A request goes on as it came: its target, its headers and its body are not read. One place for
//! all routes; a route says only whether it reads and whether each manager answers it for itself.

use async_trait::async_trait;
use http::{HeaderMap, Method};

use crate::{Body, Reply, Result};

/// A client's request that may be another manager's.
pub struct Onward {
    /// The method.
    pub method: Method,
    /// Path and query as the client wrote them, version included.
    pub target: String,
    /// The client's headers, without the hop-by-hop ones.
    pub headers: HeaderMap,
    /// The protocol the client asked to switch to.
    pub upgrade: Option<String>,
    /// The body.
    pub body: Body,
    /// It changes nothing, so that any manager may answer it.
    pub reads: bool,
}

impl std::fmt::Debug for Onward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers and queries can hold credentials.
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{} {path}", self.method)
    }
}

/// What became of a request.
#[derive(Debug)]
pub enum Forwarded {
    /// It is this manager's: the request back, with nothing of its body taken.
    Here(Onward),
    /// The other manager's answer.
    Answered(Reply),
}

/// Sends requests on to the manager that serves them.
#[async_trait]
pub trait Forward: std::fmt::Debug + Send + Sync {
    /// Whether it is asked for this route (its pattern), too, which in a pool each manager answers for
    /// itself.
    fn takes(&self, _pattern: &str) -> bool {
        false
    }

    /// Sends `request` on, or gives it back. An error names the manager that is awaited. Dropping
    /// the future, the reply's body or its raw connection abandons the request there too.
    async fn forward(&self, request: Onward) -> Result<Forwarded>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_headers_nor_query() {
        let mut headers = HeaderMap::new();
        headers.insert("x-registry-auth", http::HeaderValue::from_static("secret"));
        let onward = Onward {
            method: Method::POST,
            target: "/v1.41/build?buildargs=secret".to_owned(),
            headers,
            upgrade: None,
            body: crate::empty(),
            reads: false,
        };
        assert_eq!(format!("{onward:?}"), "POST /v1.41/build");
    }
}
