//! The span of a request that came in: `GET /containers/{name}/json`, by the semantic conventions for
//! HTTP servers (opentelemetry.io/docs/specs/semconv/http).

use http::{Method, Request, StatusCode, header};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, TraceContextExt as _};

use crate::{TRACING, Traced};

/// Longest of a client's own words that a span carries, bytes.
const LONGEST: usize = 256;

/// The methods that the conventions know; another one is a client's own word.
pub(crate) fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

/// The beginning of what somebody else wrote.
pub(crate) fn bounded(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// A request under way. Its span ends when this is dropped, with the answer's last byte.
#[derive(Debug, Default)]
pub struct Arrived {
    span: Traced,
    answered: bool,
}

/// A request came: part of the trace that its headers tell of, or the first of a new one. `number` is
/// its own in the log.
pub fn arrived<B>(request: &Request<B>, endpoint: &'static str, number: u64) -> Arrived {
    let Some(tracing) = TRACING.get() else { return Arrived::default() };
    let parent = tracing.told(request.headers());
    let method = method(request.method());
    let attributes = vec![
        KeyValue::new("http.request.method", method),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("url.path", bounded(request.uri().path())),
        KeyValue::new("swarm.endpoint", endpoint),
        KeyValue::new("swarm.request", i64::try_from(number).unwrap_or(i64::MAX)),
    ];
    let name = if method == "_OTHER" { "HTTP" } else { method };
    let builder = opentelemetry::trace::SpanBuilder::from_name(name)
        .with_kind(SpanKind::Server)
        .with_attributes(attributes);
    let span = Traced::begin(tracing, builder, &parent);
    if span.is_heard()
        && let Some(agent) = request.headers().get(header::USER_AGENT)
        && let Ok(agent) = agent.to_str()
    {
        span.set("user_agent.original", bounded(agent));
    }
    Arrived { span, answered: false }
}

impl Arrived {
    /// The span, for what is done within.
    pub fn span(&self) -> &Traced {
        &self.span
    }

    /// Its answer begins. `route` is the pattern that it fits, where there is one.
    pub fn answered(&mut self, route: Option<(&'static str, &'static str)>, status: StatusCode) {
        self.answered = true;
        let Some(context) = &self.span.0 else { return };
        if let Some((method, pattern)) = route {
            context.span().update_name(format!("{method} {pattern}"));
            self.span.set("http.route", pattern);
        }
        self.span.set("http.response.status_code", i64::from(status.as_u16()));
        // A refusal is no fault of this program's.
        if status.is_server_error() {
            self.span.fail(status.as_str().to_owned(), String::new());
        }
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        if !self.answered && self.span.is_heard() {
            self.span.fail("abandoned", "the client left before the answer");
        }
    }
}
