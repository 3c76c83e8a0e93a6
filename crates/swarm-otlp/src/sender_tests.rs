//! Batches to a collector of these tests.

use std::time::SystemTime;

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, StringValue, Value};
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks, SpanProcessor as _};
use swarm_testkit::collector::Collector;

use super::*;
use crate::queue::queue;
use crate::settings::{self, Named};

/// A span that ended.
pub(crate) fn span(name: &'static str) -> SpanData {
    let start_time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let removals = vec![StringValue::from("health removed 1")];
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(42),
            SpanId::from(7),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Server,
        name: name.into(),
        start_time,
        end_time: start_time + Duration::from_millis(500),
        attributes: vec![
            KeyValue::new("swarm.request", 7),
            KeyValue::new("swarm.placement.removals", Value::Array(Array::String(removals))),
        ],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("swarm").build(),
    }
}

const BATCH: Batch = Batch {
    delay: Duration::from_millis(50),
    patience: Duration::from_secs(20),
    queue: 4,
    size: 3,
};

fn headers(name: &str, value: &str) -> Named<Vec<(String, String)>> {
    let value = vec![(name.to_owned(), value.to_owned())];
    Named { variable: "OTEL_EXPORTER_OTLP_TRACES_HEADERS".to_owned(), value }
}

fn target(collector: &Collector, gzip: bool) -> Target {
    Target::Collector(Box::new(settings::Collector {
        endpoint: format!("{}/v1/traces", collector.url()),
        headers: headers("x-token", "s3cret"),
        timeout: Duration::from_secs(5),
        gzip,
        ca: None,
        cert: None,
        key: None,
    }))
}

#[tokio::test]
async fn spans_arrive_in_batches_with_what_they_come_from() {
    for gzip in [false, true] {
        let mut collector = Collector::start().await;
        let counts = SpanCounts::default();
        let (queue, ended) = queue(BATCH.queue, counts.clone());
        for name in ["a", "b", "c", "d", "e", "f"] {
            queue.on_end(span(name));
        }
        assert_eq!(counts.dropped.get(), 2, "the queue holds four");
        let resource = [KeyValue::new("service.name", "swarm")];
        let target = target(&collector, gzip);
        let sender = Sender::new(ended, BATCH, &target, &resource, counts.clone()).unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(sender.run(stop.clone()));
        let (first, second) = (collector.next().await, collector.next().await);
        assert_eq!(first.names(), ["a", "b", "c"]);
        assert_eq!(second.names(), ["d"]);
        assert_eq!(first.headers["x-token"], "s3cret");
        assert_eq!(first.path, "/v1/traces");
        assert_eq!(first.resource("service.name").as_deref(), Some("swarm"));
        // What ends right before the end goes out, too.
        queue.on_end(span("last"));
        stop.cancel();
        running.await.unwrap();
        assert_eq!(collector.next().await.names(), ["last"]);
        assert_eq!((counts.exported.get(), counts.failed.get()), (5, 0));
    }
}

#[tokio::test]
async fn a_collector_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let mut collector = Collector::start().await;
    let counts = SpanCounts::default();
    let (queue, ended) = queue(BATCH.queue, counts.clone());
    let sender =
        Sender::new(ended, BATCH, &target(&collector, false), &[], counts.clone()).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(sender.run(stop.clone()));
    collector.answer([503, 200, 400, 200]);
    queue.on_end(span("busy"));
    assert_eq!(collector.next().await.names(), ["busy"]);
    let begun = Instant::now();
    assert_eq!(collector.next().await.names(), ["busy"], "a 503 is tried again");
    assert!(begun.elapsed() > PAUSE.0 / 3, "but not at once: {:?}", begun.elapsed());
    queue.on_end(span("refused"));
    assert_eq!(collector.next().await.names(), ["refused"]);
    queue.on_end(span("taken"));
    assert_eq!(collector.next().await.names(), ["taken"], "a 400 is not");
    stop.cancel();
    running.await.unwrap();
    assert_eq!((counts.exported.get(), counts.failed.get()), (2, 1));
}

#[tokio::test]
async fn a_collector_that_is_not_there_costs_spans_and_does_not_hold_up_the_end() {
    let mut collector = Collector::start().await;
    let way = target(&collector, false);
    collector.close().await;
    let counts = SpanCounts::default();
    let (queue, ended) = queue(BATCH.queue, counts.clone());
    let sender = Sender::new(ended, BATCH, &way, &[], counts.clone()).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(sender.run(stop.clone()));
    queue.on_end(span("lost"));
    stop.cancel();
    running.await.unwrap();
    assert_eq!((counts.exported.get(), counts.failed.get()), (0, 1));
}

#[test]
fn what_cannot_be_spoken_to_is_told_by_its_variable() {
    let settings = |header: &str, ca: Option<&str>| settings::Collector {
        endpoint: "http://localhost".into(),
        headers: headers(header, "s3cret\n"),
        timeout: Duration::from_secs(1),
        gzip: false,
        ca: ca.map(|path| Named {
            variable: "OTEL_EXPORTER_OTLP_CERTIFICATE".to_owned(),
            value: path.into(),
        }),
        cert: None,
        key: None,
    };
    let error = Transport::new(&settings("a b", None)).unwrap_err().to_string();
    assert_eq!(error, "OTEL_EXPORTER_OTLP_TRACES_HEADERS: entry 1 cannot be an HTTP header");
    let mut none = settings("a", Some("/not/there"));
    none.headers.value.clear();
    let error = Transport::new(&none).unwrap_err().to_string();
    assert!(error.starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE /not/there: cannot read"), "{error}");
}
