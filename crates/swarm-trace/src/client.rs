//! The span of a request to an engine, or to another manager: by the semantic conventions for HTTP
//! clients.

use http::{HeaderMap, Method, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};

use crate::server::{bounded, method};
use crate::span::parent;
use crate::{TRACING, Traced};

/// A request that goes out, within a trace or not.
#[derive(Debug, Default)]
pub struct Asked {
    span: Traced,
    concluded: bool,
}

/// A request goes out. `path` may have a query, which is not told; `to` is who is asked: a name where
/// one is known, and an address.
pub fn asks(asking: &Method, path: &str, to: impl FnOnce() -> (Option<String>, String)) -> Asked {
    let Some((tracing, parent)) = parent() else { return Asked::default() };
    let path = path.split('?').next().unwrap_or_default();
    let method = method(asking);
    // The first word of a path is what the request is about; the rest has names in it.
    let about = path.split('/').nth(1).unwrap_or_default();
    let builder = SpanBuilder::from_name(format!("{method} /{}", bounded(about)))
        .with_kind(SpanKind::Client)
        .with_attributes(vec![KeyValue::new("http.request.method", method)]);
    let span = Traced::begin(tracing, builder, &parent);
    if span.is_heard() {
        let (name, address) = to();
        span.set("url.path", bounded(path));
        span.set("server.address", address);
        if let Some(name) = name {
            span.set("swarm.engine", name);
        }
    }
    Asked { span, concluded: false }
}

impl Asked {
    /// The span, for what is done within.
    pub fn span(&self) -> &Traced {
        &self.span
    }

    /// Has the request's headers tell of it, so that the engine's own spans are below this one.
    pub fn tell(&self, headers: &mut HeaderMap) {
        if let (Some(tracing), Some(context)) = (TRACING.get(), &self.span.0) {
            tracing.tell(context, headers);
        }
    }

    /// The answer began.
    pub fn answered(&mut self, status: StatusCode) {
        self.concluded = true;
        self.span.set("http.response.status_code", i64::from(status.as_u16()));
        // By the conventions a client's span failed with any of these.
        if status.is_client_error() || status.is_server_error() {
            self.span.fail(status.as_str().to_owned(), String::new());
        }
    }

    /// There was none: how, in one word, and why.
    pub fn failed(&mut self, kind: &'static str, words: impl FnOnce() -> String) {
        self.concluded = true;
        if self.span.is_heard() {
            self.span.fail(kind, words());
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.concluded && self.span.is_heard() {
            self.span.fail("abandoned", "nobody waits for the answer any more");
        }
    }
}
