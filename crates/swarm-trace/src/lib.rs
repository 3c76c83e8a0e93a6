//! Traces: what a request did, span by span, from the API through placement to the engines.
//!
//! This is the port: the spans that the house knows ([`arrived`], [`asks`], [`Traced::within`]), and
//! how a trace goes from one process to the next ([`carry`]). Where spans go is somebody else's: the
//! binary [`install`]s it, or nothing. The log's own spans (crate `tracing`) are apart from these: they
//! end at the log's filter, and these must not.
//!
//! Invariants:
//! - without [`install`] every call here is one load of an atomic, and allocates nothing;
//! - nothing is waited for: a span that ends goes into a queue or is dropped;
//! - a span is made by a request, or below one: what this program does of its own accord (probes,
//!   readings) makes none;
//! - no attribute holds a header, a query or a body.

mod carry;
mod client;
mod server;
mod span;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use opentelemetry::Context;
use opentelemetry::global::{BoxedTracer, ObjectSafeTracer};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt as _;

pub use client::{Asked, asks};
pub use server::{Arrived, arrived};
pub use span::{In, Traced, carried};

/// Who makes spans, and writes and reads the headers that carry them.
struct Tracing {
    tracer: BoxedTracer,
    propagator: Box<dyn TextMapPropagator + Send + Sync>,
}

static TRACING: OnceLock<Tracing> = OnceLock::new();

/// From now on spans are made. The first caller of a process is heard, and no other.
pub fn install(
    tracer: impl ObjectSafeTracer + Send + Sync + 'static,
    propagator: impl TextMapPropagator + Send + Sync + 'static,
) {
    let tracer = BoxedTracer::new(Box::new(tracer));
    // Two would make one trace in two places.
    let _ = TRACING.set(Tracing { tracer, propagator: Box::new(propagator) });
}

/// Whether spans are made at all.
pub fn is_on() -> bool {
    TRACING.get().is_some()
}

/// The trace that the running code is part of, in hexadecimal, for the log.
pub fn current_id() -> Option<String> {
    if !is_on() {
        return None;
    }
    Context::map_current(|current| {
        let span = current.span();
        let known = span.span_context();
        known.is_valid().then(|| known.trace_id().to_string())
    })
}
