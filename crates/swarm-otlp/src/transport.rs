//! One batch to a collector: OTLP over HTTP, as protobuf (opentelemetry.io/docs/specs/otlp).

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Certificate, Client, Identity, Response, StatusCode, redirect};

use crate::settings::{Collector, Named};

/// Longest that a collector may have us wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Largest answer that is read: a collector's words, not a page.
const LARGEST_ANSWER: usize = 64 << 10;
/// How long a connection without a batch is kept: longer than the usual pause between two.
const IDLE: Duration = Duration::from_secs(30);

/// A collector that cannot be spoken to as the variables say.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A file that a variable names.
    #[error("{variable} {path}: {problem}")]
    File {
        /// The variable.
        variable: String,
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A header that cannot be one.
    #[error("{variable}: entry {entry} cannot be an HTTP header")]
    Header {
        /// The variable.
        variable: String,
        /// Which one, from 1.
        entry: usize,
    },
    /// No HTTP client.
    #[error("the OTLP client cannot be set up: {0}")]
    Client(String),
}

/// What a collector made of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It took all but this many, for this reason.
    Taken { rejected: u64, words: String },
    /// Not now, perhaps later; not before this has passed, where it said so.
    Later { words: String, after: Option<Duration> },
    /// Never.
    Refused(String),
}

/// The way to a collector.
#[derive(Debug)]
pub(crate) struct Transport {
    client: Client,
    endpoint: String,
    headers: HeaderMap,
    gzip: bool,
}

impl Transport {
    pub fn new(collector: &Collector) -> Result<Self, TransportError> {
        let mut headers = HeaderMap::new();
        for (place, (name, value)) in collector.headers.value.iter().enumerate() {
            let bad = |()| TransportError::Header {
                variable: collector.headers.variable.clone(),
                entry: place + 1,
            };
            let name = HeaderName::try_from(name.as_str()).map_err(|_| bad(()))?;
            let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| bad(()))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let mut builder = Client::builder()
            // A redirect would carry the token to whomever it names.
            .redirect(redirect::Policy::none())
            .referer(false)
            .http1_only()
            .timeout(collector.timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1);
        if let Some(ca) = &collector.ca {
            let pem = read(ca)?;
            match Certificate::from_pem_bundle(&pem) {
                Ok(found) if !found.is_empty() => builder = builder.tls_certs_only(found),
                _ => return Err(file(ca, "there is no certificate in it, as PEM")),
            }
        } else if collector.endpoint.starts_with("http://") {
            // Otherwise the system's authorities are read, of which an image of one binary has none.
            builder = builder.tls_certs_only([]);
        }
        if let (Some(cert), Some(key)) = (&collector.cert, &collector.key) {
            let mut pem = read(cert)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            let identity = Identity::from_pem(&pem).map_err(|_| {
                file(key, format!("it and {} are no key and certificate", cert.variable))
            })?;
            builder = builder.identity(identity);
        }
        let client = builder.build().map_err(|error| TransportError::Client(innermost(&error)))?;
        let endpoint = collector.endpoint.clone();
        Ok(Self { client, endpoint, headers, gzip: collector.gzip })
    }

    /// The body of a batch, which may be sent several times.
    pub fn packed(&self, message: Vec<u8>) -> std::io::Result<Vec<u8>> {
        if !self.gzip {
            return Ok(message);
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&message)?;
        packed.finish()
    }

    /// Sends it once.
    pub async fn send(&self, body: Vec<u8>) -> Outcome {
        let mut request = self
            .client
            .post(&self.endpoint)
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/x-protobuf");
        if self.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        match request.body(body).send().await {
            Ok(response) => judged(response).await,
            Err(error) => Outcome::Later { words: innermost(&error), after: None },
        }
    }
}

/// By the specification: some failures pass, and the others do not.
async fn judged(mut response: Response) -> Outcome {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER).and_then(|text| text.to_str().ok());
    let after = after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_ANSWER {
            break;
        }
    }
    if status.is_success() {
        let partial = ExportTraceServiceResponse::decode(body.as_slice()).unwrap_or_default();
        let partial = partial.partial_success.unwrap_or_default();
        let rejected = u64::try_from(partial.rejected_spans).unwrap_or_default();
        return Outcome::Taken { rejected, words: partial.error_message };
    }
    let words = format!("it answers {status}");
    let passes = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    if passes {
        Outcome::Later { words, after: after.map(|after| after.min(LONGEST_PAUSE)) }
    } else {
        Outcome::Refused(words)
    }
}

/// What went wrong at the bottom, without the address.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn read(named: &Named<PathBuf>) -> Result<Vec<u8>, TransportError> {
    std::fs::read(&named.value).map_err(|error| file(named, format!("cannot read it: {error}")))
}

fn file(named: &Named<PathBuf>, problem: impl Into<String>) -> TransportError {
    let path = named.value.display().to_string();
    TransportError::File { variable: named.variable.clone(), path, problem: problem.into() }
}
