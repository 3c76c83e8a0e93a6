//! From where spans end to where they are sent: a queue of a bounded length, and counts of what became
//! of each.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

/// What became of spans. Cheap to clone; clones are one.
#[derive(Debug, Clone)]
pub struct SpanCounts {
    all: Family<[(&'static str, &'static str); 1], Counter>,
    pub(crate) exported: Counter,
    pub(crate) dropped: Counter,
    pub(crate) failed: Counter,
}

impl Default for SpanCounts {
    fn default() -> Self {
        let all = Family::<_, Counter>::default();
        // Known words are told from the beginning, so that a first loss is seen as a rise.
        let of = |result| all.get_or_create_owned(&[("result", result)]);
        let (exported, dropped, failed) = (of("exported"), of("dropped"), of("failed"));
        Self { all, exported, dropped, failed }
    }
}

impl SpanCounts {
    /// Has the counts published.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "trace_spans",
            "Spans that ended and were to be kept, by what became of them: exported, dropped (the \
             queue was full), failed (the collector did not take them)",
            self.all.clone(),
        );
    }
}

/// The queue's beginning.
#[derive(Debug)]
pub(crate) struct Queue {
    ended: mpsc::Sender<SpanData>,
    counts: SpanCounts,
}

/// A queue of `length`, and its end.
pub(crate) fn queue(length: usize, counts: SpanCounts) -> (Queue, mpsc::Receiver<SpanData>) {
    let (ended, waiting) = mpsc::channel(length);
    (Queue { ended, counts }, waiting)
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.ended.try_send(span).is_err() {
            self.counts.dropped.inc();
        }
    }

    // The binary ends the sender, which waits for the last of them; these have nothing to add.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
