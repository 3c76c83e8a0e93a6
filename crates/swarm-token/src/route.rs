//! What can be asked, read from a request's line: total, and without touching anything.
//!
//! | method and path | for |
//! |---|---|
//! | `GET /` | the page of help |
//! | `POST /v1/clusters` | a new token |
//! | `GET /v1/clusters` | the owner: all tokens |
//! | `GET /v1/clusters/TOKEN` | the engines; with `index` and `wait` once they change |
//! | `POST /v1/clusters/TOKEN?ttl=S` | registers the engine in the body |
//! | `PUT /v1/clusters/TOKEN?ttl=S` | the owner: exactly the engines in the body |
//! | `DELETE /v1/clusters/TOKEN` | the owner: no more such token |
//! | `GET /v1/clusters/TOKEN/HOST:PORT` | what is known of one engine |
//! | `DELETE /v1/clusters/TOKEN/HOST:PORT` | takes a registration back |
//!
//! A token that cannot be one gets the same answer as one that is not there.

use std::time::Duration;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::{Refusal, Token, address};

/// Classic's clients of the first versions gave no length: they renew every 25 seconds.
const DEFAULT_TTL: u32 = 180;
/// Seconds: a registration that nobody renews for a month is none.
const LONGEST_TTL: u32 = 30 * 24 * 3600;
/// Without a time to wait; below the minute that many proxies allow.
const DEFAULT_WAIT: Duration = Duration::from_secs(55);
/// Longer waits end after this.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// The page of help.
    Help,
    /// A new token.
    Create,
    /// All tokens.
    Clusters,
    /// A token's engines, now or once they change.
    Nodes(Token, Option<Poll>),
    /// The engine in the body, for so many seconds.
    Register(Token, u32),
    /// Exactly the engines in the body, for so many seconds.
    Replace(Token, u32),
    /// No more such token.
    Remove(Token),
    /// What is known of one engine.
    Node(Token, Box<str>),
    /// One engine's registration back.
    Deregister(Token, Box<str>),
}

/// A wait for a set of another index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// Of the set that the asker knows.
    pub index: u64,
    /// How long at most.
    pub wait: Duration,
}

/// Why nothing is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCall {
    /// No such path.
    NoPath,
    /// The path is there for these methods.
    Method(&'static str),
    /// A parameter that cannot be: its name, and what was expected.
    Query(&'static str, &'static str),
    /// A token or an address that cannot be.
    Refused(Refusal),
}

/// Reads a request's line.
pub fn read(method: &Method, path: &str, query: Option<&str>) -> Result<Call, NoCall> {
    // What HEAD asks is what GET asks; the server leaves the body out.
    let method = if method == Method::HEAD { Method::GET } else { method.clone() };
    let mut pieces = path.strip_prefix('/').ok_or(NoCall::NoPath)?.split('/');
    let pieces: [Option<&str>; 5] = std::array::from_fn(|_| pieces.next());
    let query = query.unwrap_or_default();
    match pieces {
        [Some(""), None, ..] => match method {
            Method::GET => Ok(Call::Help),
            _ => Err(NoCall::Method("GET")),
        },
        [Some("v1"), Some("clusters"), None | Some(""), None, None] => match method {
            Method::POST => Ok(Call::Create),
            Method::GET => Ok(Call::Clusters),
            _ => Err(NoCall::Method("GET, POST")),
        },
        [Some("v1"), Some("clusters"), Some(token), None, None] => match method {
            Method::GET => Ok(Call::Nodes(read_token(token)?, read_poll(query)?)),
            Method::POST => Ok(Call::Register(read_token(token)?, read_ttl(query)?)),
            Method::PUT => Ok(Call::Replace(read_token(token)?, read_ttl(query)?)),
            Method::DELETE => Ok(Call::Remove(read_token(token)?)),
            _ => Err(NoCall::Method("GET, POST, PUT, DELETE")),
        },
        [Some("v1"), Some("clusters"), Some(token), Some(node), None] => match method {
            Method::GET => Ok(Call::Node(read_token(token)?, read_address(node)?)),
            Method::DELETE => Ok(Call::Deregister(read_token(token)?, read_address(node)?)),
            _ => Err(NoCall::Method("GET, DELETE")),
        },
        _ => Err(NoCall::NoPath),
    }
}

fn read_token(text: &str) -> Result<Token, NoCall> {
    text.parse().map_err(|_| NoCall::Refused(Refusal::UnknownToken))
}

fn read_address(text: &str) -> Result<Box<str>, NoCall> {
    let text = percent_decode_str(text).decode_utf8();
    let text = text.map_err(|_| NoCall::Refused(Refusal::Address))?;
    address::read(&text).map_err(NoCall::Refused)
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn read_ttl(query: &str) -> Result<u32, NoCall> {
    let Some(text) = parameter(query, "ttl") else { return Ok(DEFAULT_TTL) };
    let ttl = whole(&text).and_then(|ttl| u32::try_from(ttl).ok());
    ttl.filter(|ttl| (1..=LONGEST_TTL).contains(ttl))
        .ok_or(NoCall::Query("ttl", "expected seconds, from 1 to 2592000"))
}

fn read_poll(query: &str) -> Result<Option<Poll>, NoCall> {
    let wait = parameter(query, "wait").map(|text| read_wait(&text)).transpose()?;
    let Some(text) = parameter(query, "index") else {
        return match wait {
            None => Ok(None),
            Some(_) => Err(NoCall::Query("wait", "expected an index beside it")),
        };
    };
    let index = whole(&text).ok_or(NoCall::Query("index", "expected a whole number"))?;
    Ok(Some(Poll { index, wait: wait.unwrap_or(DEFAULT_WAIT) }))
}

/// Seconds or minutes: `55s`, `5m`, `55`.
fn read_wait(text: &str) -> Result<Duration, NoCall> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let wait =
        whole(number).ok_or(NoCall::Query("wait", "expected seconds or minutes: 55s, 5m"))?;
    Ok(Duration::from_secs(wait.saturating_mul(unit)).min(LONGEST_WAIT))
}

/// Digits only: `parse` alone would take a sign.
fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn ask(line: &str) -> Result<Call, NoCall> {
        let (method, target) = line.split_once(' ').unwrap();
        let target = target.replace("TOKEN", TOKEN);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*target, None),
        };
        read(&method.parse().unwrap(), path, query)
    }

    #[test]
    fn every_request_is_read() {
        let token: Token = TOKEN.parse().unwrap();
        let poll = |index, wait| Some(Poll { index, wait: Duration::from_secs(wait) });
        for (line, call) in [
            ("GET /", Call::Help),
            ("HEAD /", Call::Help),
            ("POST /v1/clusters", Call::Create),
            ("GET /v1/clusters/", Call::Clusters),
            ("GET /v1/clusters/TOKEN", Call::Nodes(token, None)),
            ("GET /v1/clusters/TOKEN?index=7", Call::Nodes(token, poll(7, 55))),
            ("GET /v1/clusters/TOKEN?index=0&wait=5m", Call::Nodes(token, poll(0, 300))),
            ("GET /v1/clusters/TOKEN?wait=20&index=1", Call::Nodes(token, poll(1, 20))),
            ("GET /v1/clusters/TOKEN?wait=9999m&index=1", Call::Nodes(token, poll(1, 600))),
            ("POST /v1/clusters/TOKEN", Call::Register(token, 180)),
            ("POST /v1/clusters/TOKEN?ttl=90", Call::Register(token, 90)),
            ("PUT /v1/clusters/TOKEN?ttl=90", Call::Replace(token, 90)),
            ("DELETE /v1/clusters/TOKEN", Call::Remove(token)),
            ("GET /v1/clusters/TOKEN/a:1", Call::Node(token, "a:1".into())),
            ("DELETE /v1/clusters/TOKEN/%5B::1%5D%3A2", Call::Deregister(token, "[::1]:2".into())),
        ] {
            assert_eq!(ask(line), Ok(call), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_told_apart() {
        let unknown = NoCall::Refused(Refusal::UnknownToken);
        let ttl = NoCall::Query("ttl", "expected seconds, from 1 to 2592000");
        for (line, reason) in [
            ("GET /v2/clusters", NoCall::NoPath),
            ("GET /v1/clusters/TOKEN/a:1/b", NoCall::NoPath),
            ("GET /v1", NoCall::NoPath),
            ("GET //", NoCall::NoPath),
            ("POST /", NoCall::Method("GET")),
            ("DELETE /v1/clusters", NoCall::Method("GET, POST")),
            ("PATCH /v1/clusters/TOKEN", NoCall::Method("GET, POST, PUT, DELETE")),
            ("POST /v1/clusters/TOKEN/a:1", NoCall::Method("GET, DELETE")),
            ("GET /v1/clusters/TEST_TOKEN", unknown.clone()),
            ("GET /v1/clusters/%30", unknown),
            ("POST /v1/clusters/TOKEN?ttl=0", ttl.clone()),
            ("POST /v1/clusters/TOKEN?ttl=-1", ttl.clone()),
            ("POST /v1/clusters/TOKEN?ttl=2592001", ttl),
            ("GET /v1/clusters/TOKEN?index=x", NoCall::Query("index", "expected a whole number")),
            (
                "GET /v1/clusters/TOKEN?index=1&wait=1h",
                NoCall::Query("wait", "expected seconds or minutes: 55s, 5m"),
            ),
            (
                "GET /v1/clusters/TOKEN?wait=5s",
                NoCall::Query("wait", "expected an index beside it"),
            ),
            ("DELETE /v1/clusters/TOKEN/%ff:1", NoCall::Refused(Refusal::Address)),
            ("DELETE /v1/clusters/TOKEN/a%2Fb:1", NoCall::Refused(Refusal::Address)),
        ] {
            assert_eq!(ask(line), Err(reason), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(
            method in "GET|PUT|POST|DELETE|X",
            path in "/(v1/clusters)?(/[0-9a-f]{32})?(/[a-z0-9:%\\[\\]]{0,9})?|\\PC{0,40}",
            query in proptest::option::of("(ttl|index|wait)=[0-9ms+%-]{0,24}(&[a-z=0-9]{0,9})?|\\PC{0,40}"),
        ) {
            let method: Method = method.parse().unwrap();
            if let Ok(Call::Nodes(_, Some(poll))) = read(&method, &path, query.as_deref()) {
                prop_assert!(poll.wait <= LONGEST_WAIT);
            }
        }
    }
}
