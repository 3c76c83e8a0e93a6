//! From one HTTP request to one call of the backend, and back.
//!
//! The order of the checks is Docker's: the route first (404 for what it does not know, whatever
//! the method), then the version, then name and body. Where the pool has several managers, a
//! request that is another one's goes there right after its route was found, unread.
//!
//! Invariants: every request is answered, also when the backend panics; every error is
//! `{"message": …}`; the log names method, path and status, and no header, query or body.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use swarm_backend::{
    ApiError, Body, BoxError, Exchange, Forward, Forwarded, Onward, Reply, Result, Upgraded, empty,
    full,
};
use swarm_docker::Query;
use swarm_trace::Arrived;
use tokio_util::compat::FuturesAsyncReadCompatExt as _;
use tracing::{Instrument, debug, error, info_span};

use crate::endless::{Cut, is_endless};
use crate::endpoint::Endpoint;
use crate::eof::{Phase, Phases};
use crate::headers::{Signature, strip_hop_by_hop, strip_request, wanted_upgrade};
use crate::intake::{arriving, take_in};
use crate::link::Link;
use crate::metrics::{ApiMetrics, Begun, Counted};
use crate::path::{check_version, read_name, split_version};
use crate::route::{self, Disposition, Hit};

/// How long a silent client is kept after the engine has ended its side of a raw connection.
const LINGER: Duration = Duration::from_secs(10);

/// Answers every request of every connection.
pub(crate) struct Surface<B: ?Sized> {
    backend: Arc<B>,
    forward: Option<Arc<dyn Forward>>,
    signature: Signature,
    /// What traces call this endpoint.
    name: &'static str,
    counted: Arc<Counted>,
    /// Numbers requests in the log.
    requests: AtomicU64,
}

/// The protocol a client asked for, and where its raw connection will come from.
struct Switch {
    protocol: String,
    client: OnUpgrade,
}

impl<B: Endpoint + ?Sized> Surface<B> {
    pub(crate) fn new(
        backend: Arc<B>,
        forward: Option<Arc<dyn Forward>>,
        signature: Signature,
        name: &'static str,
        metrics: ApiMetrics,
    ) -> Self {
        let counted = Arc::new(Counted::new(B::RESOURCES, name, metrics));
        Self { backend, forward, signature, name, counted, requests: AtomicU64::new(1) }
    }

    /// The answer to `request`; never fails.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        link: &Link,
    ) -> Response<Outgoing> {
        let method = request.method().clone();
        let is_endless = method == Method::GET && is_endless(request.uri());
        let id = self.requests.fetch_add(1, Ordering::Relaxed);
        let span = info_span!("request", id, %method, path = request.uri().path());
        let mut begun = Counted::begin(&self.counted);
        let mut traced = swarm_trace::arrived(&request, self.name, id);
        let answered = async {
            let started = Instant::now();
            link.phases.set(Phase::Request);
            let outcome =
                AssertUnwindSafe(self.dispatch(request, link, &begun)).catch_unwind().await;
            let mut answer = match outcome {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => refusal(&error),
                Err(_) => {
                    error!("the handler of this request panicked");
                    refusal(&ApiError::system("internal error: the request's handler failed"))
                }
            };
            let newest = self.backend.served().newest;
            // A 101 speaks for the engine: its headers begin another protocol.
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                self.signature.sign(&method, newest, &mut answer);
            }
            let elapsed = started.elapsed();
            begun.answered(answer.status(), elapsed);
            debug!(status = answer.status().as_u16(), ?elapsed, "answered");
            answer
        };
        let answer = traced.span().run(answered.instrument(span)).await;
        traced.answered(begun.pattern(), answer.status());
        // The phase of an upgrade ends where both sides have switched.
        let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let ends = (!switched).then(|| link.phases.clone());
        let cut = is_endless.then(|| Cut::by(&link.stopping));
        answer.map(|body| Outgoing { body, cut, ends, traced, _begun: begun })
    }

    async fn dispatch(
        &self,
        mut request: Request<Incoming>,
        link: &Link,
        begun: &Begun,
    ) -> Result<Response<Body>> {
        // Docker answers OPTIONS on any path (its CORS preflight), known or not.
        if request.method() == Method::OPTIONS {
            return Ok(Response::new(empty()));
        }
        let uri = request.uri().clone();
        let (version, path) = split_version(uri.path());
        let Hit { number, route, cut } = route::find(B::RESOURCES, request.method(), path)
            .or_else(|| B::other(path))
            .ok_or_else(|| ApiError::not_found("page not found"))?;
        begun.found(number);
        let switch = wanted_upgrade(request.headers())
            .filter(|_| route.hijacked)
            .map(|protocol| Switch { protocol, client: hyper::upgrade::on(&mut request) });
        if switch.is_some() {
            link.phases.set(Phase::Upgrade);
        }
        let (parts, body) = request.into_parts();
        let (method, mut headers) = (parts.method, parts.headers);
        let mut body = arriving(route.intake, body);
        strip_request(&mut headers);
        let upgrade = switch.as_ref().map(|switch| switch.protocol.clone());
        if let Some(forward) = &self.forward
            && (route.is_primarys() || (route.own && forward.takes(route.pattern)))
        {
            let target = match uri.path_and_query() {
                Some(target) => target.as_str().to_owned(),
                None => path.to_owned(),
            };
            let (method, upgrade) = (method.clone(), upgrade.clone());
            let onward = Onward { method, target, headers, upgrade, body, reads: route.reads() };
            match forward.forward(onward).await? {
                Forwarded::Answered(reply) => return answered(reply, switch, link),
                Forwarded::Here(onward) => (headers, body) = (onward.headers, onward.body),
            }
        }
        let version = check_version(version, self.backend.served())?;
        if let Disposition::Refused(status, words) = route.disposition
            && !(route.in_swarm && self.backend.has_swarm())
        {
            return Err(ApiError::engine(status.as_u16(), words));
        }
        let (name, path) = read_name(&cut)?;
        let query = Query::parse(uri.query().unwrap_or_default());
        let body = take_in(route.intake, &headers, body).await?;
        let exchange = Exchange { method, path, query, version, headers, upgrade, body };
        let reply = (route.handler)(&self.backend, &name, exchange).await?;
        answered(reply, switch, link)
    }
}

/// A reply as HTTP; a 101 begins to carry the raw connection.
fn answered(reply: Reply, switch: Option<Switch>, link: &Link) -> Result<Response<Body>> {
    match (reply.status, switch) {
        (StatusCode::SWITCHING_PROTOCOLS, Some(switch)) => take_over(reply, switch, link),
        (StatusCode::SWITCHING_PROTOCOLS, None) => Err(ApiError::system(
            "the engine switched protocols for a client that did not ask for it",
        )),
        _ => {
            // Not upgraded after all: from here on an end of input is the client's end.
            link.phases.set(Phase::Request);
            let mut answer = Response::new(reply.body);
            *answer.status_mut() = reply.status;
            *answer.headers_mut() = reply.headers;
            Ok(answer)
        }
    }
}

/// The 101 to the client; the raw connections are joined beside it as soon as both are there.
fn take_over(reply: Reply, switch: Switch, link: &Link) -> Result<Response<Body>> {
    let engine = reply
        .upgraded
        .ok_or_else(|| ApiError::system("the engine's connection is missing after its 101"))?;
    let protocol = HeaderValue::try_from(&switch.protocol)
        .map_err(|_| ApiError::invalid("invalid Upgrade header"))?;
    let mut answer = Response::new(empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = reply.headers;
    strip_hop_by_hop(answer.headers_mut());
    answer.headers_mut().remove(header::CONTENT_LENGTH);
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.headers_mut().insert(header::UPGRADE, protocol);
    let joined = join(switch.client, engine, link.phases.clone());
    link.spawn(joined.instrument(tracing::Span::current()));
    Ok(answer)
}

async fn join(client: OnUpgrade, engine: Upgraded, phases: Phases) {
    // Both are awaited together: each side's 101 may wait for nothing but itself.
    let (client, engine) = futures_util::join!(client, engine);
    phases.set(Phase::Open);
    let ended = match (client, engine) {
        (Ok(client), Ok(engine)) => {
            swarm_splice::join(TokioIo::new(client), engine.compat(), LINGER)
                .await
                .map_err(BoxError::from)
        }
        (Err(error), _) => Err(error.into()),
        (_, Err(error)) => Err(error),
    };
    match ended {
        Ok(()) => debug!("raw connection ended"),
        Err(error) => debug!(%error, "raw connection broke"),
    }
}

/// An error as Docker's clients read it.
fn refusal(error: &ApiError) -> Response<Body> {
    let mut answer = Response::new(full(error.to_json()));
    *answer.status_mut() = error.status();
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

/// A body on its way to the client; with its end the request has ended.
pub(crate) struct Outgoing {
    body: Body,
    /// Breaks it off.
    cut: Option<Cut>,
    ends: Option<Phases>,
    /// Its span ends here, too.
    traced: Arrived,
    /// The request counts as under way until here.
    _begun: Begun,
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if let Some(phases) = &self.ends {
            phases.set(Phase::Open);
        }
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.cut.as_mut().is_some_and(|cut| cut.has_come(cx)) {
            return Poll::Ready(Some(Err("the server ends".into())));
        }
        let _within = this.traced.span().enter();
        Pin::new(&mut this.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
