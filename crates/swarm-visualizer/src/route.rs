//! What is asked for, and its answer. All of it reads.

use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use swarm_backend::{ApiError, Body, Exchange, ObjectPath, Reply, Result, Wanted, empty, full};
use swarm_docker::Query;
use tokio_util::sync::CancellationToken;

use crate::feed::{self, Feed};
use crate::guard::{Guard, Refused};
use crate::sse::Place;
use crate::{Backend, answer, files, logs};

/// Lines of output that are shown of what was before.
const TAIL: (u32, u32) = (200, 5_000);
/// Moves of a plan.
const LIMIT: (u32, u32) = (100, 1_000);
/// How long an engine may take until its answer begins.
const DEADLINE: Duration = Duration::from_secs(30);

/// Everything an answer is made of.
pub struct Page {
    /// Whom to ask.
    pub backend: Backend,
    /// What is shown.
    pub feed: Arc<Feed>,
    /// Who is let in.
    pub guard: Guard,
    /// The end of all streams.
    pub stop: CancellationToken,
}

impl Page {
    /// Answers a request; its body is not read.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body> {
        let (head, _) = request.into_parts();
        if let Err(refused) = self.guard.check(&head.headers, &head.uri) {
            return refuse(refused);
        }
        let reads = head.method == Method::GET || head.method == Method::HEAD;
        if !reads {
            let mut refused =
                answer::refuse(StatusCode::METHOD_NOT_ALLOWED, "this page only shows");
            refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        let path = head.uri.path().trim_start_matches('/');
        let query = Query::parse(head.uri.query().unwrap_or_default());
        let answered = match path.strip_prefix("api/") {
            Some(path) => self.api(path, &query, &head.headers).await,
            None => files::find(path)
                .map(|file| answer::answer(StatusCode::OK, file.kind, full(file.bytes)))
                .ok_or_else(|| ApiError::not_found("there is no such page")),
        };
        let mut answered = answered.unwrap_or_else(|error| answer::error(&error));
        if head.method == Method::HEAD {
            *answered.body_mut() = empty();
        }
        answered
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
                let rest = path.strip_prefix("containers/");
                let rest = rest.ok_or_else(|| ApiError::not_found("there is no such page"))?;
                let (name, logs) = match rest.strip_suffix("/logs") {
                    Some(name) => (name, true),
                    None => (rest, false),
                };
                let name = percent_encoding::percent_decode_str(name).decode_utf8();
                let name = name.map_err(|_| ApiError::invalid("the name is no text"))?;
                if logs { self.logs(&name, query).await } else { self.inspect(&name).await }
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
        Ok(passed(self.backend.plan(&wanted)?))
    }

    async fn inspect(&self, name: &str) -> Result<Response<Body>> {
        let mut exchange = Exchange::get("");
        exchange.path = ObjectPath { before: "/containers/".into(), after: "/json".into() };
        let asked = self.backend.inspect_container(name, exchange);
        let reply = tokio::time::timeout(DEADLINE, asked).await;
        Ok(passed(reply.map_err(|_| ApiError::unavailable("its engine does not answer"))??))
    }

    async fn logs(&self, name: &str, query: &Query) -> Result<Response<Body>> {
        let tail = bounded(query, "tail", TAIL)?;
        let body = logs::follow(&self.backend, name, tail, self.stop.clone()).await?;
        Ok(answer::stream(body))
    }
}

/// A backend's answer under our own headers: an engine's could say anything.
fn passed(reply: Reply) -> Response<Body> {
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
