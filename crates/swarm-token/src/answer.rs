//! From a request to its answer: who may ask, what the body holds, what is said back.
//!
//! Invariants: an answer that is no success is one plain sentence; a body is read within a bound and
//! a deadline; nothing that was sent is logged or sent back.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::route::{Call, NoCall};
use crate::service::Nodes;
use crate::{Refusal, Service, address, route};

/// The index of the set in the answer, for the next blocking query.
pub(crate) const INDEX: &str = "x-swarm-index";
/// Bytes: an address, with some blanks around it.
const LARGEST_ADDRESS: usize = 1_024;
/// Bytes: 65,536 addresses of the longest kind.
const LARGEST_SET: usize = 20 << 20;
/// How long a body may take.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

const HELP: &str = include_str!("help.html");
/// The page asks for nothing, and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

pub(crate) type Answer = Response<Full<Bytes>>;

/// Answers one request. It never fails: what fails is an answer.
pub(crate) async fn answer(
    service: &Service,
    request: Request<Incoming>,
    source: IpAddr,
    stopping: &CancellationToken,
) -> Answer {
    let (head, body) = request.into_parts();
    let call = match route::read(&head.method, head.uri.path(), head.uri.query()) {
        Ok(call) => call,
        Err(reason) => return no_call(reason),
    };
    let asked = Asked { service, headers: &head.headers, source, stopping };
    asked.answer(call, body).await.unwrap_or_else(|refusal| refused(&refusal))
}

struct Asked<'a> {
    service: &'a Service,
    headers: &'a HeaderMap,
    source: IpAddr,
    stopping: &'a CancellationToken,
}

impl Asked<'_> {
    async fn answer(&self, call: Call, body: Incoming) -> Result<Answer, Refusal> {
        let service = self.service;
        Ok(match call {
            Call::Help => help(),
            Call::Create => {
                let token = service.create(self.source, self.is_owner()).await?;
                text(StatusCode::OK, token.to_string())
            }
            Call::Clusters => {
                self.only_owner()?;
                json(&service.clusters())
            }
            Call::Nodes(token, poll) => set(service.nodes(token, poll, self.stopping).await?),
            Call::Register(token, ttl) => {
                let bytes = whole(body, LARGEST_ADDRESS).await?;
                let text = str::from_utf8(&bytes).map_err(|_| Refusal::Address)?;
                service.register(token, address::read(text)?, ttl).await?;
                done()
            }
            Call::Replace(token, ttl) => {
                self.only_owner()?;
                let bytes = whole(body, LARGEST_SET).await?;
                let texts: Vec<&str> = serde_json::from_slice(&bytes).map_err(|_| Refusal::Set)?;
                let set = texts.into_iter().map(address::read).collect::<Result<_, _>>()?;
                service.replace(token, set, ttl).await?;
                done()
            }
            Call::Remove(token) => {
                self.only_owner()?;
                service.remove(token).await?;
                done()
            }
            Call::Node(token, address) => json(&service.node(token, &address)?),
            Call::Deregister(token, address) => {
                service.deregister(token, address).await?;
                done()
            }
        })
    }

    fn is_owner(&self) -> bool {
        let given = self.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, key) = given.and_then(|text| text.split_once(' ')).unwrap_or_default();
        self.service.is_owner(Some(key).filter(|_| scheme.eq_ignore_ascii_case("bearer")))
    }

    fn only_owner(&self) -> Result<(), Refusal> {
        if self.is_owner() { Ok(()) } else { Err(Refusal::NotOwner) }
    }
}

async fn whole(body: Incoming, limit: usize) -> Result<Bytes, Refusal> {
    let broken = Refusal::BodyBroken { seconds: BODY_DEADLINE.as_secs() };
    if body.size_hint().lower() > limit as u64 {
        return Err(Refusal::BodyTooLarge { limit });
    }
    match tokio::time::timeout(BODY_DEADLINE, Limited::new(body, limit).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge { limit }),
        Ok(Err(_)) | Err(_) => Err(broken),
    }
}

fn set(nodes: Nodes) -> Answer {
    let mut answer = nodes.set.map_or_else(unchanged, |set| json(&set));
    answer.headers_mut().insert(INDEX, nodes.index.into());
    answer
}

fn unchanged() -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    answer
}

fn done() -> Answer {
    // No type, no more: a thousand of these a minute are most of what an idle pool sends.
    Response::new(Full::from("OK"))
}

fn text(status: StatusCode, words: String) -> Answer {
    let mut answer = Response::new(Full::from(words));
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn json(value: &impl Serialize) -> Answer {
    // Texts and numbers: there is nothing that could not be written.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let mut answer = Response::new(Full::from(bytes));
    let kind = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn help() -> Answer {
    let mut answer = Response::new(Full::from(HELP));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer
}

fn no_call(reason: NoCall) -> Answer {
    match reason {
        NoCall::NoPath => {
            text(StatusCode::NOT_FOUND, "there is nothing here; GET / tells what there is\n".into())
        }
        NoCall::Method(allowed) => {
            let words = format!("this takes {allowed}; GET / tells more\n");
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, words);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            answer
        }
        NoCall::Query(name, expected) => {
            text(StatusCode::BAD_REQUEST, format!("parameter {name}: {expected}\n"))
        }
        NoCall::Refused(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Answer {
    let mut answer = text(refusal.status(), format!("{refusal}\n"));
    let headers = answer.headers_mut();
    match refusal {
        Refusal::NotOwner => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Refusal::TooFast { seconds } => {
            headers.insert(RETRY_AFTER, (*seconds).into());
        }
        Refusal::TooManyWaiters { .. } | Refusal::Disk => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        _ => {}
    }
    answer
}
