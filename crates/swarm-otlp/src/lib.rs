//! Where traces go: to a collector by OTLP over HTTP, or to standard output, as the standard `OTEL_`
//! variables say.
//!
//! What spans there are is `swarm-trace`'s, and when this begins and ends the binary's. The batches are
//! our own and not the development kit's: its exporter blocks a thread, tells nobody what it dropped, and
//! brings a second HTTP client.
//!
//! Invariants:
//! - a span that ends is put into a queue of a bounded length or dropped and counted: no request waits
//!   for a collector, and none fails for one;
//! - nothing here makes spans;
//! - headers for the collector are never shown: they hold its tokens.

mod console;
mod list;
mod queue;
mod sender;
mod settings;
mod transport;

use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;

pub use queue::SpanCounts;
pub use sender::Sender;
pub use settings::{Settings, Wrong};
pub use transport::TransportError;

/// What this program's spans are said to come from.
const SCOPE: &str = "swarm";

/// Has spans made from now on. They wait, up to the queue's length, until what is given back runs.
pub fn start(settings: Settings, counts: &SpanCounts) -> Result<Sender, TransportError> {
    let Settings { sampler, propagators, resource, batch, target } = settings;
    let (queue, ended) = queue::queue(batch.queue, counts.clone());
    let sender = Sender::new(ended, batch, &target, &resource, counts.clone())?;
    let provider = SdkTracerProvider::builder()
        .with_span_processor(queue)
        .with_sampler(sampler)
        .with_resource(Resource::builder_empty().with_attributes(resource).build())
        .build();
    let propagator = TextMapCompositePropagator::new(
        propagators.into_iter().map(settings::Propagator::made).collect(),
    );
    swarm_trace::install(provider.tracer(SCOPE), propagator);
    Ok(sender)
}
