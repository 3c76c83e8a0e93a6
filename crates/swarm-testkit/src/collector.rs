//! A collector of traces: it takes OTLP over HTTP as real ones do, decodes what it is sent, and hands
//! it to the test.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Far more than a batch takes, on a busy machine too.
const SOON: Duration = Duration::from_secs(20);

/// One request of an exporter.
#[derive(Debug)]
pub struct Batch {
    /// Where it was sent.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// What it holds.
    pub message: ExportTraceServiceRequest,
}

impl Batch {
    /// Its spans.
    pub fn spans(&self) -> Vec<Span> {
        let scopes = self.message.resource_spans.iter().flat_map(|one| &one.scope_spans);
        scopes.flat_map(|scope| scope.spans.iter().cloned()).collect()
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.spans().into_iter().map(|span| span.name).collect()
    }

    /// What it says of the process it comes from.
    pub fn resource(&self, key: &str) -> Option<String> {
        let resource = self.message.resource_spans.first()?.resource.as_ref()?;
        attribute(&resource.attributes, key)
    }
}

/// One attribute as text, lists with commas.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|one| one.key == key)?;
    Some(text(found.value.as_ref()?))
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::ArrayValue(all)) => all.values.iter().map(text).collect::<Vec<_>>().join(", "),
        other => format!("{other:?}"),
    }
}

/// Lower-case hexadecimal, as ids are written.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The collector.
#[derive(Debug)]
pub struct Collector {
    url: String,
    batches: mpsc::UnboundedReceiver<Batch>,
    answers: Arc<Mutex<VecDeque<u16>>>,
    serving: JoinHandle<()>,
    /// Spans that were taken while others were waited for, by their trace.
    seen: HashMap<String, Vec<Span>>,
}

impl Collector {
    /// Listens on a port of the system's choice.
    ///
    /// # Panics
    /// Where there is none.
    #[expect(clippy::expect_used, reason = "a test ends there")]
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of the loopback");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let (told, batches) = mpsc::unbounded_channel();
        let answers = Arc::<Mutex<VecDeque<u16>>>::default();
        let serving = tokio::spawn(listen(listener, told, Arc::clone(&answers)));
        Self { url, batches, answers, serving, seen: HashMap::new() }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The statuses of the next answers; after these 200. A 503 says `Retry-After: 0`.
    pub fn answer(&self, statuses: impl IntoIterator<Item = u16>) {
        self.answers.lock().extend(statuses);
    }

    /// The next batch.
    ///
    /// # Panics
    /// Where none comes.
    #[expect(clippy::expect_used, reason = "a test ends there")]
    pub async fn next(&mut self) -> Batch {
        let next = tokio::time::timeout(SOON, self.batches.recv()).await;
        next.expect("no batch came").expect("the collector has ended")
    }

    /// The spans of the first trace, of those that are sent from now on or came before, of which
    /// `whole` says that all are there.
    ///
    /// # Panics
    /// Where none comes.
    #[expect(clippy::panic, reason = "a test ends there")]
    pub async fn trace(&mut self, whole: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        loop {
            if let Some(found) = self.seen.values().find(|spans| whole(spans)) {
                return found.clone();
            }
            let until = tokio::time::Instant::now() + SOON;
            match tokio::time::timeout_at(until, self.batches.recv()).await {
                Ok(Some(batch)) => {
                    for span in batch.spans() {
                        self.seen.entry(hex(&span.trace_id)).or_default().push(span);
                    }
                }
                _ => panic!("no such trace; there are {:#?}", self.seen),
            }
        }
    }

    /// How many spans have come.
    pub fn count(&mut self) -> usize {
        while let Ok(batch) = self.batches.try_recv() {
            for span in batch.spans() {
                self.seen.entry(hex(&span.trace_id)).or_default().push(span);
            }
        }
        self.seen.values().map(Vec::len).sum()
    }

    /// Nobody listens there any more.
    pub async fn close(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn listen(
    listener: TcpListener,
    told: mpsc::UnboundedSender<Batch>,
    answers: Arc<Mutex<VecDeque<u16>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (told, answers) = (told.clone(), Arc::clone(&answers));
        let service = service_fn(move |request| {
            let (told, answers) = (told.clone(), Arc::clone(&answers));
            async move { Ok::<_, Infallible>(answer(request, &told, &answers).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    told: &mpsc::UnboundedSender<Batch>,
    answers: &Mutex<VecDeque<u16>>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut message = whole.to_vec();
    if head.headers.get("content-encoding").is_some_and(|coding| coding == "gzip") {
        message.clear();
        let _ = GzDecoder::new(&whole[..]).read_to_end(&mut message);
    }
    let protobuf =
        head.headers.get("content-type").is_some_and(|kind| kind == "application/x-protobuf");
    let mut answer = Response::new(Full::default());
    match ExportTraceServiceRequest::decode(message.as_slice()) {
        Ok(message) if protobuf && head.method == http::Method::POST => {
            let status = answers.lock().pop_front().unwrap_or(200);
            *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
            if status == 503 {
                // As some load balancers say it.
                let now = http::HeaderValue::from_static("0");
                answer.headers_mut().insert(http::header::RETRY_AFTER, now);
            }
            let path = head.uri.path().to_owned();
            let _ = told.send(Batch { path, headers: head.headers, message });
        }
        _ => *answer.status_mut() = http::StatusCode::BAD_REQUEST,
    }
    answer
}
