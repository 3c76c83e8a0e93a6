//! Spans as they come out of the software development kit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method, Request, StatusCode};
use opentelemetry::Value;
use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};

use super::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OFF: &str = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// Spans that ended.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Kept {
    fn take(&self) -> Vec<SpanData> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn said(span: &SpanData, key: &str) -> Option<Value> {
    span.attributes.iter().find(|one| one.key.as_str() == key).map(|one| one.value.clone())
}

fn request(path: &str, parent: Option<&str>) -> Request<()> {
    let mut request = Request::builder().uri(path).header("user-agent", "Docker-Client/28");
    if let Some(parent) = parent {
        request = request.header("traceparent", parent).header("tracestate", "a=b");
    }
    request.body(()).unwrap()
}

async fn work(engine: &'static str) -> HeaderMap {
    let placing = Traced::within("placement");
    placing.set("swarm.node", engine);
    drop(placing);
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", "the client's".parse().unwrap());
    let to = || (Some(engine.to_owned()), "10.0.0.1:2375".to_owned());
    let mut asked = asks(&Method::POST, "/containers/create?name=secret", to);
    asked.tell(&mut headers);
    asked.span().run(tokio::task::yield_now()).await;
    asked.answered(StatusCode::CREATED);
    headers
}

/// One test, since a process has one destination of its spans.
#[tokio::test]
async fn a_request_is_a_trace_from_its_coming_to_the_engine() {
    // Nobody is installed: nothing happens, and headers stay.
    let mut nothing = arrived(&request("/info", Some(PARENT)), "pool", 1);
    let headers = nothing.span().run(work("node-1")).await;
    assert_eq!(headers["traceparent"], "the client's");
    nothing.answered(None, StatusCode::OK);
    assert!(!is_on() && current_id().is_none() && !nothing.span().is_heard());

    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
    install(provider.tracer("swarm"), TraceContextPropagator::new());

    // Outside of a request nothing is made.
    assert_eq!(work("node-1").await["traceparent"], "the client's");
    assert!(kept.take().is_empty());

    let mut came = arrived(&request("/containers/create?name=secret", Some(PARENT)), "pool", 7);
    let (id, task) =
        came.span().run(async { (current_id(), tokio::spawn(carried(work("node-1")))) }).await;
    let headers = task.await.unwrap();
    assert_eq!(id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    assert_eq!(current_id(), None, "the trace is left where the future is not driven");
    came.answered(Some(("POST", "/containers/create")), StatusCode::BAD_GATEWAY);
    drop(came);
    let spans = kept.take();
    let named: HashMap<_, _> = spans.iter().map(|span| (span.name.as_ref(), span)).collect();
    let (server, placing, client) =
        (named["POST /containers/create"], named["placement"], named["POST /containers"]);
    assert_eq!(server.parent_span_id.to_string(), "00f067aa0ba902b7");
    assert!(server.parent_span_is_remote && server.span_kind == SpanKind::Server);
    assert_eq!(placing.parent_span_id, server.span_context.span_id());
    assert_eq!(client.parent_span_id, server.span_context.span_id());
    let told = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", client.span_context.span_id());
    assert_eq!(headers["traceparent"], told);
    assert_eq!(headers["tracestate"], "a=b");
    assert_eq!(said(server, "http.response.status_code"), Some(502.into()));
    assert_eq!(said(server, "error.type"), Some("502".into()));
    assert_eq!(said(server, "swarm.request"), Some(7.into()));
    assert_eq!(said(server, "http.route"), Some("/containers/create".into()));
    assert_eq!(said(client, "url.path"), Some("/containers/create".into()));
    assert_eq!(said(client, "swarm.engine"), Some("node-1".into()));
    assert_eq!(client.status, Status::Unset);
    assert!(spans.iter().all(|span| !format!("{span:?}").contains("secret")));

    // A trace that is not sampled goes on as that, and a client that leaves is told.
    let came = arrived(&request("/info", Some(OFF)), "pool", 8);
    let headers = came.span().run(work("node-1")).await;
    assert!(headers["traceparent"].to_str().unwrap().ends_with("-00"));
    drop(came);
    assert!(kept.take().is_empty());
    drop(arrived(&request("/info", None), "pool", 9));
    let left = kept.take();
    assert_eq!((left.len(), said(&left[0], "error.type")), (1, Some("abandoned".into())));
    assert_eq!(left[0].name, "GET");
}
