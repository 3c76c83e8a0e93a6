//! What is asked for, and its answer. What is sent to be done goes to `act`, where the page may do
//! anything at all.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{self, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use swarm_backend::{ApiError, Body, BoxError, Reply, Result, Wanted, empty, full};
use swarm_docker::Query;
use tokio_util::sync::CancellationToken;

use crate::ask::{self, Kind};
use crate::feed::{self, Feed};
use crate::guard::{Guard, Refused};
use crate::sse::Place;
use crate::writes::Key;
use crate::{Backend, act, answer, files, logs};

/// Lines of output that are shown of what was before.
const TAIL: (u32, u32) = (200, 5_000);
/// Moves of a plan.
pub const LIMIT: (u32, u32) = (100, 1_000);

/// Everything an answer is made of.
pub struct Page {
    /// Whom to ask.
    pub backend: Backend,
    /// What is shown.
    pub feed: Arc<Feed>,
    /// Who is let in.
    pub guard: Guard,
    /// What actions have to carry; without it there are none.
    pub writes: Option<Key>,
    /// The end of all streams.
    pub stop: CancellationToken,
}

impl Page {
    /// Answers a request; only an action's body is read.
    pub async fn answer<B>(&self, request: Request<B>, from: IpAddr) -> Response<Body>
    where
        B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (head, body) = request.into_parts();
        if let Err(refused) = self.guard.check(&head.headers, &head.uri) {
            return refuse(refused);
        }
        if head.method != Method::GET && head.method != Method::HEAD {
            return self.act(&head, body, from).await;
        }
        let path = head.uri.path().trim_start_matches('/');
        let query = Query::parse(head.uri.query().unwrap_or_default());
        let answered = match path.strip_prefix("api/") {
            Some(path) => self.api(path, &query, &head.headers).await,
            None => files::find(path)
                .map(|file| answer::answer(StatusCode::OK, file.kind, full(file.bytes)))
                .ok_or_else(no_page),
        };
        let mut answered = answered.unwrap_or_else(|error| answer::error(&error));
        if head.method == Method::HEAD {
            *answered.body_mut() = empty();
        }
        answered
    }

    /// An action, where there are any.
    async fn act<B>(&self, head: &Parts, body: B, from: IpAddr) -> Response<Body>
    where
        B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let Some(key) = &self.writes else {
            return no_method(
                "this page only shows; a manager that is started with --ui-write lets it act",
                "GET, HEAD",
            );
        };
        if head.method != Method::POST {
            return no_method("actions are sent with POST", "GET, HEAD, POST");
        }
        if let Err(why) = key.check(&head.headers, &head.uri) {
            return answer::refuse(StatusCode::FORBIDDEN, why.words());
        }
        let path = head.uri.path().trim_start_matches('/').strip_prefix("api/");
        match act::run(&self.backend, path.unwrap_or_default(), body, from).await {
            Ok(answered) => answered,
            Err(error) => answer::error(&error),
        }
    }

    async fn api(&self, path: &str, query: &Query, headers: &HeaderMap) -> Result<Response<Body>> {
        match path {
            "state" => {
                let state = self.feed.snapshot().await;
                let state =
                    state.ok_or_else(|| ApiError::unavailable("the pool is not known yet"))?;
                Ok(answer::answer(StatusCode::OK, "application/json", full(state)))
            }
            "stream" => {
                let at = headers.get("last-event-id").and_then(|at| at.to_str().ok());
                let at = at.or_else(|| query.get("at")).and_then(Place::parse);
                Ok(answer::stream(feed::body(&self.feed, at, self.stop.clone())))
            }
            "plan" => self.plan(query),
            _ => {
                if let Some(kind) = Kind::read(path).filter(|kind| kind.is_listed()) {
                    return Ok(passed(ask::get(&self.backend, kind.list()).await?));
                }
                let (kind, name, asked) = object(path)?;
                match (kind, asked) {
                    (_, "") => Ok(passed(ask::get(&self.backend, kind.document(&name)).await?)),
                    (Kind::Service, "tasks") => {
                        let filters = json!({"service": [name]}).to_string();
                        let filters = utf8_percent_encode(&filters, NON_ALPHANUMERIC);
                        let target = format!("/tasks?filters={filters}");
                        Ok(passed(ask::get(&self.backend, target).await?))
                    }
                    (kind, "logs") if kind.has_output() => self.logs((kind, &name), query).await,
                    _ => Err(no_page()),
                }
            }
        }
    }

    fn plan(&self, query: &Query) -> Result<Response<Body>> {
        let wanted = match query.get("drain").filter(|node| !node.is_empty()) {
            Some(node) => Wanted::Drain { node: node.to_owned() },
            None if query.flag("rebalance") => {
                let limit = bounded(query, "limit", LIMIT)?;
                Wanted::Rebalance { limit: limit as usize }
            }
            None => {
                let words = "say what to plan: rebalance=1, or drain=NODE";
                return Err(ApiError::invalid(words));
            }
        };
        Ok(passed(self.backend.sight.plan(&wanted)?))
    }

    async fn logs(&self, object: (Kind, &str), query: &Query) -> Result<Response<Body>> {
        let tail = bounded(query, "tail", TAIL)?;
        let body = logs::follow(&self.backend, object, tail, self.stop.clone()).await?;
        Ok(answer::stream(body))
    }
}

/// Which object a path names, and what is asked of it: nothing for its document, `logs` or `tasks`. A
/// container's name may hold its node's before a slash.
fn object(path: &str) -> Result<(Kind, String, &'static str)> {
    let (kind, rest) = path.split_once('/').ok_or_else(no_page)?;
    let kind = Kind::read(kind).ok_or_else(no_page)?;
    let ends = ["logs", "tasks"].into_iter();
    let mut ends = ends.filter_map(|end| Some((rest.strip_suffix(end)?.strip_suffix('/')?, end)));
    let (name, asked) = ends.next().unwrap_or((rest, ""));
    let name = percent_encoding::percent_decode_str(name).decode_utf8();
    let name = name.map_err(|_| ApiError::invalid("the name is no text"))?;
    if name.is_empty() {
        return Err(no_page());
    }
    Ok((kind, name.into_owned(), asked))
}

pub fn no_page() -> ApiError {
    ApiError::not_found("there is no such page")
}

fn no_method(words: &str, allowed: &'static str) -> Response<Body> {
    let mut refused = answer::refuse(StatusCode::METHOD_NOT_ALLOWED, words);
    refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    refused
}

/// A backend's answer under our own headers: an engine's could say anything.
pub fn passed(reply: Reply) -> Response<Body> {
    answer::answer(reply.status, "application/json", reply.body)
}

fn bounded(query: &Query, key: &str, (usual, most): (u32, u32)) -> Result<u32> {
    let Some(asked) = query.number(key)? else { return Ok(usual) };
    let asked = u32::try_from(asked).ok().filter(|asked| (1..=most).contains(asked));
    asked.ok_or_else(|| ApiError::invalid(format!("{key} must be 1 to {most}")))
}

fn refuse(refused: Refused) -> Response<Body> {
    match refused {
        Refused::Token => {
            let words = "give the page's token (the manager's --ui-token-file) as the password; the \
                         user's name does not matter";
            let mut answer = answer::refuse(StatusCode::UNAUTHORIZED, words);
            let ask = HeaderValue::from_static("Basic realm=\"swarm\", charset=\"UTF-8\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
            answer
        }
        Refused::Host => {
            let words = "without a token this page answers to localhost and to addresses in numbers \
                         only; a proxy that passes its own host name on needs --ui-token-file";
            let mut answer = answer::refuse(StatusCode::FORBIDDEN, words);
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(HeaderName::from_static("connection"), close);
            answer
        }
    }
}
