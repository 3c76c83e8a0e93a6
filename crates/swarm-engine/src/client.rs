//! One engine's client: the calls the pool makes.
//!
//! Invariants: clones share everything; a call owns its connection while it runs, and gives it back
//! only after its reply was read to the end.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderValue;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use swarm_backend::Reply;
use swarm_docker::ApiVersion;
use swarm_trace::Asked;
use tokio_util::sync::CancellationToken;

use crate::dial::{Purpose, dial, within};
use crate::events::{EventLines, EventTime};
use crate::hijack::hijack;
use crate::idle::{Idle, Lease};
use crate::link::Link;
use crate::ping::Pinger;
use crate::reply::{Hold, LONGEST_REFUSAL, read_body, refusal, reply};
use crate::request::{Head, Outgoing};
use crate::upload::Upload;
use crate::version::EngineVersion;
use crate::wire::Wire;
use crate::{ClientOptions, EngineAddress, EngineError, Raw};

/// The largest JSON answer read whole: a list of some 30,000 containers on one engine.
const LARGEST_JSON: usize = 64 << 20;
/// `GET /version` is about 1 KiB.
const LARGEST_VERSION: usize = 1 << 20;

/// The client of one engine. Cheap to clone; clones share connections and the negotiated version.
#[derive(Clone)]
pub struct EngineClient {
    inner: Arc<Inner>,
}

struct Inner {
    address: EngineAddress,
    host: HeaderValue,
    options: ClientOptions,
    idle: Arc<Idle>,
    pinger: Pinger,
    versions: ArcSwapOption<EngineVersion>,
    /// What it is called in traces, once that is known.
    name: ArcSwapOption<String>,
    /// Cuts every connection made since the last cut.
    cut: Mutex<CancellationToken>,
}

impl fmt::Debug for EngineClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EngineClient({})", self.inner.address)
    }
}

impl EngineClient {
    /// A client; nothing is connected yet.
    pub fn new(address: EngineAddress, options: ClientOptions) -> Self {
        let host = address.host_header();
        let inner = Inner {
            pinger: Pinger::new(&host),
            // An address read from text is always a valid header.
            host: HeaderValue::try_from(host).unwrap_or(HeaderValue::from_static("docker")),
            idle: Idle::new(options.idle_timeout, options.max_idle),
            versions: ArcSwapOption::empty(),
            name: ArcSwapOption::empty(),
            cut: Mutex::default(),
            address,
            options,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Where the engine is.
    pub fn address(&self) -> &EngineAddress {
        &self.inner.address
    }

    /// Traces show it by this name from now on, beside its address.
    pub fn is_called(&self, name: &str) {
        self.inner.name.store(Some(Arc::new(name.to_owned())));
    }

    /// Asks `GET /version` (unversioned) and remembers the range of API versions both speak.
    pub async fn negotiate(&self, deadline: Duration) -> Result<EngineVersion, EngineError> {
        let json = within("version", deadline, async {
            let reply = self.exchange(Outgoing::get("/version"), None).await?;
            read_success(reply, LARGEST_VERSION).await
        })
        .await?;
        let found = EngineVersion::read(&json);
        // An engine replaced by one we cannot speak to must not be spoken to as the old one.
        self.inner.versions.store(found.as_ref().ok().cloned().map(Arc::new));
        found
    }

    /// What `negotiate` found last.
    pub fn versions(&self) -> Option<EngineVersion> {
        self.inner.versions.load().as_deref().cloned()
    }

    /// `GET /_ping` on a kept connection of its own: answered within `deadline`, or an error.
    pub async fn ping(&self, deadline: Duration) -> Result<(), EngineError> {
        self.inner.pinger.ping(deadline, || self.dial(Purpose::Watch)).await
    }

    /// Sends a request; returns at the reply's headers, whatever their status. `deadline` is until
    /// then; without one only connecting has a limit. The body streams, and breaking off is an
    /// [`EngineError`] inside its error.
    pub async fn send(
        &self,
        mut request: Outgoing,
        deadline: Option<Duration>,
    ) -> Result<Reply, EngineError> {
        let prefix = self.prefix(request.version);
        let mut asked = self.asks(&mut request);
        // Boxed: every future around it, up to a request's own, would hold it again.
        let exchange = asked.span().run(Box::pin(self.exchange(request, prefix)));
        let answer = match deadline {
            Some(after) => within("answer", after, exchange).await,
            None => exchange.await,
        };
        conclude(&mut asked, &answer);
        answer
    }

    /// `GET` and read JSON; an error status is [`EngineError::Status`]. `deadline` covers the whole
    /// answer.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        path_and_query: &str,
        deadline: Duration,
    ) -> Result<T, EngineError> {
        let bytes = self.get_bytes(path_and_query, LARGEST_JSON, deadline).await?;
        serde_json::from_slice(&bytes).map_err(|error| EngineError::Json {
            path: path_and_query.split('?').next().unwrap_or_default().to_owned(),
            reason: error.to_string(),
        })
    }

    /// `GET` a body of at most `limit` bytes; an error status is [`EngineError::Status`].
    /// `deadline` covers the whole answer.
    pub async fn get_bytes(
        &self,
        path_and_query: &str,
        limit: usize,
        deadline: Duration,
    ) -> Result<Bytes, EngineError> {
        let mut request = Outgoing::get(path_and_query);
        let mut asked = self.asks(&mut request);
        let answer = within("answer", deadline, async {
            let exchange = Box::pin(self.exchange(request, self.prefix(None)));
            let reply = asked.span().run(exchange).await?;
            asked.answered(reply.status);
            read_success(reply, limit).await
        })
        .await;
        // A status has been told; this is that there was none, that it came too late, or broke off.
        if let Err(error) = &answer
            && !matches!(error, EngineError::Status { .. })
        {
            asked.failed(error.reason(), || error.to_string());
        }
        answer
    }

    /// Opens the engine's event stream on a connection of its own: what happens from now on, after
    /// what happened since `since`. Dropping the stream closes it.
    pub async fn events(&self, since: Option<EventTime>) -> Result<EventLines, EngineError> {
        self.event_stream(match since {
            Some(since) => format!("/events?since={since}"),
            None => "/events".to_owned(),
        })
        .await
    }

    /// Opens the engine's event stream for those events alone that `filters` lets pass (the query's
    /// value, encoded): for who waits for few of many.
    pub async fn events_where(&self, filters: &str) -> Result<EventLines, EngineError> {
        self.event_stream(format!("/events?filters={filters}")).await
    }

    async fn event_stream(&self, path: String) -> Result<EventLines, EngineError> {
        let request =
            Head::new(&mut Outgoing::get(path), self.prefix(None), &self.inner.host, None)?
                .to_bytes();
        within("event stream", self.inner.options.request_deadline, async {
            let link = self.dial(Purpose::Watch).await?;
            let (code, mut wire) = Wire::ask(link, &request).await?;
            if code == StatusCode::OK {
                return Ok(EventLines::new(wire));
            }
            let body = wire.read_to_end(LONGEST_REFUSAL).await?;
            Err(EngineError::refused(code, &body))
        })
        .await
    }

    /// Breaks every connection open now, streams and upgraded ones too, with
    /// [`EngineError::Severed`]: for an engine known to be silent, whose streams would otherwise
    /// hang until the kernel gives up. Later calls connect anew.
    pub fn sever(&self) {
        let cut = std::mem::take(&mut *self.inner.cut.lock());
        cut.cancel();
        self.close_idle();
    }

    /// Closes the connections nobody uses: after new certificates, or before an engine is dropped.
    pub fn close_idle(&self) {
        self.inner.idle.clear();
        self.inner.pinger.clear();
    }

    /// A connection of its own to the engine, with nothing on it yet: for whoever brings another's
    /// bytes. The caller has a gate of its own.
    pub async fn raw(&self) -> Result<Box<dyn Raw>, EngineError> {
        Ok(Box::new(self.dial(Purpose::Exchange).await?))
    }

    async fn dial(&self, purpose: Purpose) -> Result<Link, EngineError> {
        let cut = self.inner.cut.lock().clone();
        dial(&self.inner.address, &self.inner.options, cut, purpose).await
    }

    /// The version to write for a client that asked for `asked`.
    fn prefix(&self, asked: Option<ApiVersion>) -> Option<ApiVersion> {
        match self.inner.versions.load().as_deref() {
            Some(range) => {
                let asked = asked.unwrap_or(range.newest);
                Some(asked.clamp_to(range.oldest, range.newest))
            }
            None => asked,
        }
    }

    /// The request becomes part of the trace that the caller is in.
    fn asks(&self, request: &mut Outgoing) -> Asked {
        let asked = swarm_trace::asks(&request.method, &request.path_and_query, || {
            let name = self.inner.name.load();
            (name.as_deref().cloned(), self.inner.address.to_string())
        });
        asked.tell(&mut request.headers);
        asked
    }

    async fn exchange(
        &self,
        mut request: Outgoing,
        prefix: Option<ApiVersion>,
    ) -> Result<Reply, EngineError> {
        let upload = Upload::new(std::mem::replace(&mut request.body, swarm_backend::empty()));
        let head = Head::new(&mut request, prefix, &self.inner.host, upload.exact_size())?;
        if request.upgrade.is_some() {
            let link = self.dial(Purpose::Exchange).await?;
            self.pass(&head, true)?;
            return hijack(link, head, upload, &self.inner.idle).await;
        }
        if let Some(lease) = self.inner.idle.take().await {
            match self.attempt(lease, head.clone(), &upload).await {
                Ok(reply) => return Ok(reply),
                // Closed under us: the engine, or a box between, gave up the idle connection. It
                // answered nothing and holds nothing of the body, so asking anew is safe.
                Err(Failed { heard: false, error })
                    if upload.is_untouched()
                        && !matches!(error, EngineError::Severed | EngineError::Barred(_)) =>
                {
                    tracing::trace!(%error, address = %self.inner.address, "stale connection");
                }
                Err(failed) => return Err(failed.error),
            }
        }
        let lease = Lease::open(self.dial(Purpose::Exchange).await?).await?;
        self.attempt(lease, head, &upload).await.map_err(|failed| failed.error)
    }

    /// Asks the caller's gate, with the connection there and nothing of the request on it.
    fn pass(&self, head: &Head, upgrades: bool) -> Result<(), EngineError> {
        match &self.inner.options.gate {
            Some(gate) => gate.pass(&head.method, upgrades),
            None => Ok(()),
        }
    }

    async fn attempt(
        &self,
        mut lease: Lease,
        head: Head,
        upload: &Upload,
    ) -> Result<Reply, Failed> {
        self.pass(&head, false).map_err(|error| Failed { heard: false, error })?;
        lease.heard.store(false, Ordering::Relaxed);
        match lease.sender.try_send_request(head.with(upload.clone())).await {
            Ok(response) => {
                let idle = Arc::clone(&self.inner.idle);
                Ok(reply(response, Hold { lease, idle, upload: upload.clone() }))
            }
            Err(error) => Err(Failed {
                heard: lease.heard.load(Ordering::Relaxed),
                error: EngineError::before_reply(&error.into_error()),
            }),
        }
    }
}

/// An attempt that brought no reply, and whether a byte of one was heard.
struct Failed {
    heard: bool,
    error: EngineError,
}

/// Tells the trace what became of a request.
fn conclude(asked: &mut Asked, answer: &Result<Reply, EngineError>) {
    match answer {
        Ok(reply) => asked.answered(reply.status),
        Err(error) => asked.failed(error.reason(), || error.to_string()),
    }
}

async fn read_success(reply: Reply, limit: usize) -> Result<Bytes, EngineError> {
    if reply.status.is_success() {
        read_body(reply.body, limit).await
    } else {
        Err(refusal(reply).await)
    }
}
