//! The Consul agents of the URL, and asking one of them: the next one is asked when one cannot be
//! reached, is silent for its share of the deadline, or has no leader.
//!
//! It leaves what is asked to `pair`, `txn`, `session` and `watch`, and what failures mean to
//! `failure`. Invariants: a call ends within the deadline; a request that may have been done is sent
//! to another agent only if it says that it may; bodies are bounded.

use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use swarm_kv::{Layout, Result, Secret, StoreError, StoreOptions, StoreUrl};
use tokio::time::Instant;

use crate::failure::{Failure, Fate, Words, cut, was_not_sent};
use crate::tls;

/// The part of the deadline, in percent, that is for asking; the rest is for finding out why there
/// was no answer.
const ASKING: u32 = 90;
/// Connecting takes longer than this only to a host that is not there.
const CONNECT: Duration = Duration::from_secs(2);
/// How many connections a request is tried on before it was sent.
const CONNECTIONS: u32 = 3;
/// Bytes of an answer; the largest there is lists a directory.
const MAX_BODY: usize = 64 << 20;
/// What stands in a path as it is. Slashes part a key as they part a path.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b':');

/// What is asked.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// With its query.
    pub(crate) path: String,
    pub(crate) body: Bytes,
    /// Doing it twice is the same as doing it once.
    pub(crate) repeatable: bool,
    /// Its answer is worth being compressed.
    pub(crate) large_answer: bool,
}

impl Request {
    pub(crate) fn get(path: String) -> Self {
        let (method, body) = (Method::GET, Bytes::new());
        Self { method, path, body, repeatable: true, large_answer: false }
    }

    pub(crate) fn list(path: String) -> Self {
        Self { large_answer: true, ..Self::get(path) }
    }

    pub(crate) fn put(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { method: Method::PUT, body: body.into(), ..Self::get(path.into()) }
    }

    #[must_use]
    pub(crate) fn once(mut self, once: bool) -> Self {
        self.repeatable = !once;
        self
    }
}

/// An answer that is none of the refusals `failure` knows.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Whose it is.
    pub(crate) host: String,
    pub(crate) status: StatusCode,
    /// `X-Consul-Index`: what a blocking query goes on from. Every answer about keys has it.
    pub(crate) index: Option<u64>,
    /// `X-Consul-Results-Filtered-By-ACLs`, which Consul 1.12 and newer set.
    pub(crate) filtered: bool,
    pub(crate) body: Bytes,
}

/// All agents of one store.
#[derive(Debug)]
pub(crate) struct Agents {
    /// The store's URL.
    pub(crate) shown: String,
    pub(crate) words: Words,
    pub(crate) deadline: Duration,
    client: Client,
    scheme: &'static str,
    hosts: Vec<String>,
    token: Option<HeaderValue>,
    /// The agent that answered last, or the one after it that failed last.
    current: AtomicUsize,
}

/// Sends a request, on another connection where one ended before it was used. With TLS 1.3 an agent
/// that does not accept our certificate says so after the handshake, and then the connection may be
/// over before its words are read: the next one tells.
async fn send(request: RequestBuilder) -> reqwest::Result<Response> {
    for _ in 1..CONNECTIONS {
        let Some(again) = request.try_clone() else { break };
        match again.send().await {
            Err(error) if was_not_sent(&error) => {}
            outcome => return outcome,
        }
    }
    request.send().await
}

impl Agents {
    pub(crate) fn new(url: &StoreUrl, options: &StoreOptions) -> Result<Self> {
        let scheme = if options.uses_tls() { "https" } else { "http" };
        for host in &url.hosts {
            if let Err(error) = Url::parse(&format!("{scheme}://{host}/")) {
                let reason = format!("{host} cannot be asked: {error}");
                return Err(StoreError::Option { option: url.to_string(), reason });
            }
        }
        let layout = Layout::new(&url.prefix, options.path.as_deref());
        encoded(layout.nodes())?;
        let shares = u32::try_from(url.hosts.len()).unwrap_or(u32::MAX).saturating_add(1);
        let connect = CONNECT.min(options.deadline / shares);
        Ok(Self {
            shown: url.to_string(),
            words: Words {
                store: url.to_string(),
                rules: rules(&layout),
                has_token: options.token.is_some(),
            },
            deadline: options.deadline,
            client: tls::client(options, connect)?,
            scheme,
            hosts: url.hosts.clone(),
            token: options.token.as_ref().map(header).transpose()?,
            current: AtomicUsize::new(0),
        })
    }

    /// Asks one agent after another until one answers.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Answer> {
        let until = Instant::now() + self.deadline * ASKING / 100;
        let first = self.current();
        let mut failure: Option<(usize, Failure)> = None;
        for turn in 0..self.hosts.len() {
            let number = (first + turn) % self.hosts.len();
            let turns = u32::try_from(self.hosts.len() - turn).unwrap_or(u32::MAX);
            let share = until.saturating_duration_since(Instant::now()) / turns;
            match self.ask_one(number, request, share).await {
                Ok(answer) => {
                    self.current.store(number, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(failed) => {
                    self.has_failed(number);
                    let go_on = failed.goes_on(request.repeatable);
                    // What one says tells more than that another cannot be reached.
                    if failure.is_none() || failed.fate != Fate::NotSent {
                        failure = Some((number, failed));
                    }
                    if !go_on {
                        break;
                    }
                }
            }
        }
        match failure {
            Some((number, failure)) => {
                let maybe_done = matches!(failure.fate, Fate::Unknown | Fate::Silent);
                let error = match failure.fate {
                    Fate::Silent => self.why_silent(number, failure.error).await,
                    _ => failure.error,
                };
                Err(if maybe_done && !request.repeatable { doubtful(error) } else { error })
            }
            None => Err(self.words.unreachable("no agent is known")),
        }
    }

    /// Asks one agent for an answer within `limit`.
    pub(crate) async fn ask_one(
        &self,
        number: usize,
        request: &Request,
        limit: Duration,
    ) -> std::result::Result<Answer, Failure> {
        let host = &self.hosts[number % self.hosts.len()];
        let url = format!("{}://{host}{}", self.scheme, request.path);
        let mut builder = self.client.request(request.method.clone(), url).timeout(limit);
        if let Some(token) = &self.token {
            builder = builder.header("x-consul-token", token.clone());
        }
        if request.method != Method::GET {
            builder = builder.body(request.body.clone());
        }
        let failed = |error| self.words.of_request(host, error, limit);
        if request.large_answer {
            builder = builder.header(ACCEPT_ENCODING, "gzip");
        }
        let endless = || {
            let error = self.words.garbage(format!("{host} answers without an end"));
            Failure::new(Fate::Unknown, error)
        };
        let mut response = send(builder).await.map_err(failed)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(endless());
            }
            body.extend_from_slice(&chunk);
        }
        let mut body = body.freeze();
        if response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip") {
            body = unpacked(&body).ok_or_else(endless)?;
        }
        let status = response.status();
        match self.words.of_answer(host, status, &body) {
            Some(failure) => Err(failure),
            None => Ok(Answer {
                host: host.clone(),
                status,
                index: number_in(&response, "x-consul-index"),
                filtered: response
                    .headers()
                    .get("x-consul-results-filtered-by-acls")
                    .is_some_and(|value| value == "true"),
                body,
            }),
        }
    }

    /// The address of the leader that an agent knows of.
    pub(crate) async fn leader(&self, number: usize, limit: Duration) -> Result<String> {
        let request = Request::get("/v1/status/leader".to_owned());
        let answer =
            self.ask_one(number, &request, limit).await.map_err(|failure| failure.error)?;
        match serde_json::from_slice::<String>(&answer.body) {
            Ok(leader) if leader.is_empty() => Err(self.words.leaderless()),
            Ok(leader) => Ok(leader),
            Err(_) => Err(self.strange(&answer)),
        }
    }

    /// An agent holds requests back while its servers have no leader, for longer than the deadline:
    /// that is told apart from an agent that does nothing at all.
    async fn why_silent(&self, number: usize, error: StoreError) -> StoreError {
        let rest = self.deadline * (100 - ASKING) / 100;
        match self.leader(number, rest).await {
            Err(StoreError::Unreachable { reason, .. }) if reason.contains("no leader") => {
                self.words.leaderless()
            }
            _ => error,
        }
    }

    /// The agent to ask first.
    pub(crate) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed) % self.hosts.len()
    }

    /// The next one is asked first from now on, unless somebody has found another already.
    pub(crate) fn has_failed(&self, number: usize) {
        let next = (number + 1) % self.hosts.len();
        // Losing the race is as good: it was won by newer knowledge.
        let _ = self.current.compare_exchange(number, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// An answer that Consul would not give.
    pub(crate) fn strange(&self, answer: &Answer) -> StoreError {
        let Answer { host, status, body, .. } = answer;
        self.words.garbage(format!("{host} answers {status}: {}", cut(body)))
    }
}

/// The place of a key, or of a directory when it ends with a slash.
pub(crate) fn key_path(key: &str) -> Result<String> {
    Ok(format!("/v1/kv/{}", encoded(key)?))
}

/// A key as it stands in a path.
pub(crate) fn encoded(key: &str) -> Result<String> {
    // Every HTTP client takes these for ways up and down, in whatever encoding.
    if key.split('/').any(|part| part == "." || part == "..") {
        let reason = "a part of a key cannot be . or ..".to_owned();
        return Err(StoreError::Option { option: key.to_owned(), reason });
    }
    Ok(utf8_percent_encode(key, PLAIN).to_string())
}

/// What a token must be allowed for this pool.
fn rules(layout: &Layout) -> String {
    let root = layout.at("");
    let root = if layout.nodes().starts_with(&root) { root.as_str() } else { layout.nodes() };
    format!(
        "key_prefix \"{}\" {{ policy = \"write\" }} and session_prefix \"\" {{ policy = \"write\" }}",
        root.trim_end_matches('/')
    )
}

fn header(token: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(token.reveal()).map_err(|_| StoreError::Option {
        option: "--discovery-opt kv.token".to_owned(),
        reason: "it holds characters that no token has".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A compressed body as it was; `None` where it is broken, or too large when unpacked.
fn unpacked(body: &[u8]) -> Option<Bytes> {
    let mut whole = Vec::new();
    let limit = MAX_BODY as u64 + 1;
    let size = MultiGzDecoder::new(body).take(limit).read_to_end(&mut whole).ok()?;
    (size <= MAX_BODY).then(|| whole.into())
}

/// Says of a write without an answer that it may have been done.
fn doubtful(error: StoreError) -> StoreError {
    match error {
        StoreError::Unreachable { store, reason } => {
            let reason = format!("{reason}; what was asked may be done all the same");
            StoreError::Unreachable { store, reason }
        }
        other => other,
    }
}

fn number_in(response: &Response, header: &str) -> Option<u64> {
    response.headers().get(header)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_paths_and_nothing_leads_out() {
        assert_eq!(key_path("a/[::1]:1").unwrap(), "/v1/kv/a/%5B::1%5D:1");
        assert_eq!(key_path("a b?c#d%/é").unwrap(), "/v1/kv/a%20b%3Fc%23d%25/%C3%A9");
        for key in ["..", "a/../b", "./a", "a/."] {
            assert!(key_path(key).is_err(), "{key}");
        }
    }

    #[test]
    fn compressed_answers_are_unpacked_within_the_bound() {
        use std::io::Write as _;
        let packed = |size: usize| {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(&vec![7; size]).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(unpacked(&packed(1000)).unwrap(), vec![7; 1000]);
        assert!(unpacked(&packed(MAX_BODY + 1)).is_none(), "a small body can hold an endless one");
        assert!(unpacked(b"no gzip").is_none() && unpacked(&packed(1000)[..20]).is_none());
    }

    #[test]
    fn a_token_is_asked_for_what_the_pool_needs() {
        for (prefix, path, shown) in [
            ("", None, "key_prefix \"docker/swarm\""),
            ("prod", None, "key_prefix \"prod/docker/swarm\""),
            ("", Some("mine"), "key_prefix \"mine\""),
            ("", Some("a/nodes"), "key_prefix \"a\""),
        ] {
            let text = rules(&Layout::new(prefix, path));
            assert!(text.starts_with(shown), "{text}");
        }
    }
}
