//! Batches on their way: gathered, sent, tried again, given up and counted.
//!
//! Invariants: one batch is under way at a time, so that what waits is bounded by the queue; a collector
//! that fails is told in the log once, and again when the reason changes or it is back.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use swarm_backoff::Backoff;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::console;
use crate::queue::SpanCounts;
use crate::settings::{Batch, Target};
use crate::transport::{Outcome, Transport, TransportError};

/// The first pause before a batch is tried again; doubled up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Sends what the queue holds, until the end.
#[derive(Debug)]
pub struct Sender {
    ended: mpsc::Receiver<SpanData>,
    batch: Batch,
    way: Way,
    counts: SpanCounts,
    told: Option<String>,
}

#[derive(Debug)]
enum Way {
    Console,
    Collector(Box<Collecting>),
}

/// A collector, and what it is told of this process.
#[derive(Debug)]
struct Collecting {
    transport: Transport,
    resource: ResourceAttributesWithSchema,
    endpoint: String,
}

impl Sender {
    pub(crate) fn new(
        ended: mpsc::Receiver<SpanData>,
        batch: Batch,
        target: &Target,
        resource: &[KeyValue],
        counts: SpanCounts,
    ) -> Result<Self, TransportError> {
        let way = match target {
            Target::Console => Way::Console,
            Target::Collector(collector) => {
                let resource = resource.iter().cloned();
                let resource = Resource::builder_empty().with_attributes(resource).build();
                Way::Collector(Box::new(Collecting {
                    transport: Transport::new(collector)?,
                    resource: (&resource).into(),
                    endpoint: collector.shown().to_owned(),
                }))
            }
        };
        Ok(Self { ended, batch, way, counts, told: None })
    }

    /// Sends until `stop`, and then what is left, each batch once. Whoever stops it sets the time that
    /// the end may take.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(spans) = self.gathered(&stop).await {
            self.deliver(spans, &stop).await;
        }
    }

    /// The next batch: as many as fit, or what has come since the first of them within the delay.
    async fn gathered(&mut self, stop: &CancellationToken) -> Option<Vec<SpanData>> {
        let mut spans = Vec::new();
        let size = self.batch.size;
        if stop.run_until_cancelled(self.ended.recv_many(&mut spans, size)).await == Some(0) {
            return None;
        }
        let until = Instant::now() + self.batch.delay;
        while spans.len() < size && !stop.is_cancelled() {
            let room = size - spans.len();
            let more = self.ended.recv_many(&mut spans, room);
            match timeout_at(until, stop.run_until_cancelled(more)).await {
                Ok(Some(1..)) => {}
                _ => break,
            }
        }
        // At the end nothing more is waited for.
        while spans.len() < size
            && let Ok(span) = self.ended.try_recv()
        {
            spans.push(span);
        }
        (!spans.is_empty()).then_some(spans)
    }

    async fn deliver(&mut self, spans: Vec<SpanData>, stop: &CancellationToken) {
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        let outcome = match &self.way {
            Way::Console => match console::print(&spans) {
                Ok(()) => Outcome::Taken { rejected: 0, words: String::new() },
                Err(error) => Outcome::Refused(error.to_string()),
            },
            Way::Collector(to) => {
                let Collecting { transport, resource, .. } = &**to;
                let resource_spans = group_spans_by_resource_and_scope(spans, resource);
                let message = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
                match transport.packed(message) {
                    Ok(body) => {
                        persist(transport, body, Instant::now() + self.batch.patience, stop).await
                    }
                    Err(error) => Outcome::Refused(error.to_string()),
                }
            }
        };
        match outcome {
            Outcome::Taken { rejected, words } => {
                let rejected = rejected.min(count);
                self.counts.exported.inc_by(count - rejected);
                self.counts.failed.inc_by(rejected);
                self.tell((rejected > 0).then(|| format!("it rejects spans: {words}")));
            }
            Outcome::Later { words, .. } | Outcome::Refused(words) => {
                self.counts.failed.inc_by(count);
                self.tell(Some(words));
            }
        }
    }

    fn tell(&mut self, trouble: Option<String>) {
        if self.told == trouble {
            return;
        }
        let to = match &self.way {
            Way::Console => "standard output",
            Way::Collector(to) => &to.endpoint,
        };
        if let Some(words) = &trouble {
            warn!("traces do not reach {to}: {words}; these spans are lost");
        } else {
            info!("traces reach {to} again");
        }
        self.told = trouble;
    }
}

/// Sends until it is taken, refused, or `until`; once alone where the end has come.
async fn persist(
    transport: &Transport,
    body: Vec<u8>,
    until: Instant,
    stop: &CancellationToken,
) -> Outcome {
    let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
    let mut trouble = "no answer in time".to_owned();
    while let Ok(outcome) = timeout_at(until, transport.send(body.clone())).await {
        let Outcome::Later { words, after } = outcome else { return outcome };
        trouble = words;
        // A collector may ask for more patience, and not for less.
        let wait = backoff.step().max(after.unwrap_or_default());
        let is_over = stop.is_cancelled() || Instant::now() + wait >= until;
        if is_over || stop.run_until_cancelled(sleep(wait)).await.is_none() {
            break;
        }
    }
    Outcome::Refused(trouble)
}

#[cfg(test)]
#[path = "sender_tests.rs"]
pub(crate) mod tests;
