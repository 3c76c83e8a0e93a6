//! Traces of the process, as a collector gets them: from a client through API and placement to the
//! engine.

use http::Method;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use swarm_backend::full;
use swarm_engine::{EngineClient, Outgoing};
use swarm_testkit::collector::{Collector, attribute, hex};
use swarm_testkit::fleet::Fleet;

use super::{Daemon, SOON, client, fleet, wait_for_healthy};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const CREATE: &str = "POST /containers/create";

/// A manager over `fleet` that sends its traces to `collector`, soon.
async fn manager(fleet: &Fleet, collector: &str, more: &[(&str, &str)]) -> (Daemon, EngineClient) {
    let line = ["--log-format", "json", "manage", "-H=tcp://127.0.0.1:0", &fleet.discovery_url()];
    let set = [
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", collector), ("OTEL_BSP_SCHEDULE_DELAY", "50")][..],
        &[("OTEL_EXPORTER_OTLP_HEADERS", "x-token=s3cret"), ("SWARM_METRICS_ADDR", ":0")],
        more,
    ]
    .concat();
    let daemon = Daemon::start(&line, &set);
    let api = client(&daemon.tcp_address().await, None);
    wait_for_healthy(&api, fleet.engines().len()).await;
    (daemon, api)
}

/// Creates a container as part of a trace, sampled or not.
async fn create(api: &EngineClient, name: &str, constraint: &str, flags: &str) -> u16 {
    let mut request = Outgoing::get(format!("/containers/create?name={name}"));
    request.method = Method::POST;
    request.headers.insert("content-type", "application/json".parse().unwrap());
    request.headers.insert("x-registry-auth", "s3cret".parse().unwrap());
    if !flags.is_empty() {
        let parent = format!("00-{TRACE}-{PARENT}-{flags}");
        request.headers.insert("traceparent", parent.parse().unwrap());
        request.headers.insert("tracestate", "who=client".parse().unwrap());
    }
    let body = format!(r#"{{"Image":"nginx:1.25","Env":["{constraint}","PASSWORD=s3cret"]}}"#);
    request.body = full(body);
    api.send(request, Some(SOON)).await.unwrap().status.as_u16()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Option<&'a Span> {
    spans.iter().find(|span| span.name == name)
}

fn said(span: &Span, key: &str) -> String {
    attribute(&span.attributes, key).unwrap_or_default()
}

/// A request's span is the last to end.
fn is_whole(spans: &[Span]) -> bool {
    named(spans, CREATE).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_is_one_trace_from_the_client_through_placement_to_the_engine() {
    let mut collector = Collector::start().await;
    let fleet = fleet(2).await;
    let (mut daemon, api) = manager(&fleet, collector.url(), &[]).await;
    let target = fleet.engine(1);
    let constraint = format!("constraint:node=={}", target.name());
    assert_eq!(create(&api, "web", &constraint, "01").await, 201);

    let spans = collector.trace(|spans| is_whole(spans) && hex(&spans[0].trace_id) == TRACE).await;
    let server = named(&spans, CREATE).unwrap();
    assert_eq!(hex(&server.parent_span_id), PARENT, "the client's trace goes on");
    assert_eq!((server.kind, &*server.trace_state), (SpanKind::Server as i32, "who=client"));
    assert_eq!(said(server, "http.route"), "/containers/create");
    assert_eq!(said(server, "http.response.status_code"), "201");
    assert_eq!(said(server, "swarm.endpoint"), "pool");
    let placement = named(&spans, "placement").unwrap();
    assert_eq!(placement.parent_span_id, server.span_id);
    assert_eq!(said(placement, "swarm.engine"), target.name());
    assert_eq!(said(placement, "swarm.placement.engines"), "2");
    assert_eq!(said(placement, "swarm.placement.removed"), "constraint removed 1");
    let reason = said(placement, "swarm.placement.reason");
    assert!(reason.contains(target.name()) && reason.contains("1 suitable of 2"), "{reason}");
    let asked: Vec<_> = spans.iter().filter(|span| span.name == "POST /containers").collect();
    let engine = asked.iter().find(|span| said(span, "url.path") == "/containers/create").unwrap();
    assert_eq!(engine.parent_span_id, server.span_id);
    assert_eq!(engine.kind, SpanKind::Client as i32);
    assert_eq!(said(engine, "swarm.engine"), target.name());
    assert_eq!(said(engine, "server.address"), target.address().to_string());
    assert_eq!(said(engine, "http.response.status_code"), "201");
    let told = target.traceparent(CREATE).unwrap();
    assert_eq!(told, format!("00-{TRACE}-{}-01", hex(&engine.span_id)), "the engine's go below it");
    assert!(!format!("{spans:?}").contains("s3cret"), "{spans:#?}");

    // The log's lines lead to the trace.
    daemon.wait_for("\"created\"").await;
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains("\"created\"")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["trace_id"], TRACE, "{line}");
    // And they carry the number of their request, without being asked to be more talkative.
    assert_eq!(line["span"]["name"], "request", "{line}");
    assert_eq!(line["span"]["id"].to_string(), said(server, "swarm.request"), "{line}");
    let outside = log.lines().find(|line| line.contains("starting the pool")).unwrap();
    assert!(!outside.contains("trace_id") && !log.contains("s3cret"), "{log}");

    // A refusal says why on the span; no client's trace: one of its own.
    assert_eq!(create(&api, "no", "constraint:node==nowhere", "").await, 409);
    let spans = collector.trace(|spans| is_whole(spans) && hex(&spans[0].trace_id) != TRACE).await;
    let server = named(&spans, CREATE).unwrap();
    assert!(server.parent_span_id.is_empty());
    let placement = named(&spans, "placement").unwrap();
    let words = &placement.status.as_ref().unwrap().message;
    assert!(words.contains("no suitable node for no"), "{words}");
    assert_eq!(said(placement, "swarm.placement.removed"), "constraint removed 2");
    assert_eq!(server.status.as_ref().map(|status| status.code), Some(0), "a 409 is no fault");

    // Nothing was traced that nobody asked for, and what is left at the end goes out.
    let names: Vec<_> = [collector.trace(|_| true).await, spans].concat();
    assert!(names.iter().all(|span| !span.name.contains("_ping")), "{names:?}");
    api.get_bytes("/info", 1 << 20, SOON).await.unwrap();
    daemon.signal("TERM");
    assert_eq!(daemon.wait(SOON), Some(0));
    collector.trace(|spans| named(spans, "GET /info").is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_goes_on_unsampled_and_is_not_sent() {
    let mut collector = Collector::start().await;
    let fleet = fleet(1).await;
    let off = [("OTEL_TRACES_SAMPLER", "always_off")];
    let (mut daemon, api) = manager(&fleet, collector.url(), &off).await;
    assert_eq!(create(&api, "web", "A=1", "01").await, 201);
    let told = fleet.engine(0).traceparent(CREATE).unwrap();
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-00"), "{told}");
    daemon.signal("TERM");
    assert_eq!(daemon.wait(SOON), Some(0));
    assert_eq!(collector.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_slow_costs_spans_and_nothing_else() {
    let fleet = fleet(1).await;
    // One that takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for (collector, words) in [("http://127.0.0.1:9", "refused"), (&silent, "no answer in time")] {
        let short = [
            ("OTEL_BSP_MAX_QUEUE_SIZE", "2"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "600"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
        ];
        let (mut daemon, api) = manager(&fleet, collector, &short).await;
        for _ in 0..20 {
            let begun = std::time::Instant::now();
            api.get_bytes("/containers/json", 1 << 20, SOON).await.unwrap();
            assert!(begun.elapsed() < SOON / 4, "{:?}", begun.elapsed());
        }
        daemon.wait_for("traces do not reach").await;
        assert!(daemon.log().contains(words), "{}", daemon.log());
        let address = super::metrics::metrics_at(&daemon).await;
        let text = super::metrics::read(&address, "/metrics", None).await.2;
        let told = swarm_testkit::exposition::Exposition::parse(&text);
        let lost =
            |result: &str| told.get(&format!("swarm_trace_spans_total{{result={result:?}}}"));
        assert!(lost("dropped") > Some(0.0) && lost("failed") > Some(0.0), "{text}");
        assert_eq!(lost("exported"), Some(0.0));
        daemon.signal("TERM");
        assert_eq!(daemon.wait(SOON), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_variables_nothing_is_touched_and_wrong_ones_end_it() {
    let fleet = fleet(1).await;
    let line = ["manage", "-H", "tcp://127.0.0.1:0", &fleet.discovery_url()];
    for off in
        [&[][..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_SDK_DISABLED", "true")]]
    {
        let daemon = Daemon::start(&line, off);
        let api = client(&daemon.tcp_address().await, None);
        wait_for_healthy(&api, 1).await;
        assert_eq!(create(&api, "web", "A=1", "01").await, if off.is_empty() { 201 } else { 409 });
        if off.is_empty() {
            let told = fleet.engine(0).traceparent(CREATE).unwrap();
            assert_eq!(told, format!("00-{TRACE}-{PARENT}-01"), "as the client wrote it");
        }
        assert!(!daemon.log().contains("trace"), "{}", daemon.log());
    }
    for (name, value, words) in [
        ("OTEL_TRACES_EXPORTER", "zipkin", "expected otlp, console or none"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317", "is no http://HOST:PORT"),
    ] {
        let mut daemon = Daemon::start(&line, &[(name, value)]);
        assert_eq!(daemon.wait(SOON), Some(2), "{}", daemon.log());
        let log = daemon.log();
        assert!(log.contains(name) && log.contains(words), "{log}");
    }
}
