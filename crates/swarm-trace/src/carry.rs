//! A trace's way from one process to the next: in a request's headers.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};

use crate::Tracing;

struct Reading<'a>(&'a HeaderMap);

impl Extractor for Reading<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let all: Vec<_> = self.0.get_all(key).iter().filter_map(|one| one.to_str().ok()).collect();
        (!all.is_empty()).then_some(all)
    }
}

struct Writing<'a>(&'a mut HeaderMap);

impl Injector for Writing<'_> {
    /// In the place of what the client wrote there. Nothing is written for nothing: `tracestate` is
    /// empty more often than not.
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::try_from(key);
        let (Ok(name), Ok(text)) = (name, HeaderValue::try_from(value)) else { return };
        if text.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name, text);
        }
    }
}

impl Tracing {
    /// The trace that a request's headers tell of; an empty one where they tell of none.
    pub(crate) fn told(&self, headers: &HeaderMap) -> Context {
        self.propagator.extract_with_context(&Context::new(), &Reading(headers))
    }

    /// Has a request's headers tell of `span`.
    pub(crate) fn tell(&self, span: &Context, headers: &mut HeaderMap) {
        self.propagator.inject_context(span, &mut Writing(headers));
    }
}
