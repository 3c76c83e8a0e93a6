//! What can be asked of a token service, and what its answers mean.
//!
//! Invariants: every question has a deadline, every answer a bound; an error names the service and
//! never the token or the key; an answer that no token service gives is called so.

use std::error::Error as _;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;

use crate::token::{Site, TokenOptions, connect};
use crate::{DiscoveryError, Entry, MAX_ENTRIES};

/// How long any question may take, beyond what it waits for a change.
const DEADLINE: Duration = Duration::from_secs(10);
/// Bytes: 65,536 addresses of 253 characters fit.
const LARGEST: usize = 20 << 20;
/// Bytes of a list of all tokens; a service holds at most 10,000.
const LARGEST_LIST: usize = 256 << 20;
/// Characters of a service's own words that are passed on.
const WORDS: usize = 300;
/// Where it says which set it gave.
const INDEX: &str = "x-swarm-index";

/// A token service, as its clients see it.
#[derive(Debug)]
pub struct TokenService {
    site: Site,
    options: TokenOptions,
    client: OnceLock<Client>,
}

/// A token, as its service's owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TokenRow {
    /// The token.
    pub token: String,
    /// Its engines.
    pub nodes: Vec<String>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it was last used.
    pub used: String,
    /// When it ends if nobody uses it again.
    pub expires: String,
}

/// What came of a question that waits for a change.
#[derive(Debug)]
pub(crate) enum Polled {
    Unchanged,
    /// No index where the service knows none: it cannot be asked to wait.
    Set {
        index: Option<u64>,
        entries: Vec<Entry>,
    },
}

/// What a service knows of one engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(crate) enum NodeState {
    Registered { renewed_ms: u64 },
    Left,
    Absent,
}

impl TokenService {
    /// The service at `site`; nothing is asked yet.
    pub fn new(site: Site, options: TokenOptions) -> Self {
        Self { site, options, client: OnceLock::new() }
    }

    /// Where it is.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// A new token.
    pub async fn create(&self) -> Result<String, DiscoveryError> {
        let request = self.request(Method::POST, &[], &[])?;
        let answer = self.ask(request, DEADLINE).await?;
        let text = self.text(answer, 1024).await?;
        let token = text.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self.garbage("its new token is none"));
        }
        Ok(token.to_owned())
    }

    /// All tokens, for the owner.
    pub async fn tokens(&self, key: &str) -> Result<Vec<TokenRow>, DiscoveryError> {
        let request = self.request(Method::GET, &[], &[])?.bearer_auth(key);
        let answer = self.ask(request, DEADLINE * 3).await?;
        let bytes = self.bytes(answer, LARGEST_LIST).await?;
        serde_json::from_slice(&bytes).map_err(|_| self.garbage("its tokens are no list"))
    }

    /// Removes a token and its engines, for the owner.
    pub async fn remove(&self, key: &str, token: &str) -> Result<(), DiscoveryError> {
        let request = self.request(Method::DELETE, &[token], &[])?.bearer_auth(key);
        self.ask(request, DEADLINE).await.map(drop)
    }

    /// A token's engines.
    pub(crate) async fn nodes(&self, token: &str) -> Result<Vec<Entry>, DiscoveryError> {
        match self.poll(token, None, Duration::ZERO).await? {
            Polled::Set { entries, .. } => Ok(entries),
            Polled::Unchanged => Err(self.garbage("it gave no engines")),
        }
    }

    /// A token's engines once they are other than those of `index`, at once without it.
    pub(crate) async fn poll(
        &self,
        token: &str,
        index: Option<u64>,
        wait: Duration,
    ) -> Result<Polled, DiscoveryError> {
        let (query, deadline) = match index {
            Some(index) => (vec![("index", index), ("wait", wait.as_secs())], DEADLINE + wait),
            None => (Vec::new(), DEADLINE),
        };
        let request = self.request(Method::GET, &[token], &query)?;
        let answer = self.ask(request, deadline).await?;
        if answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(Polled::Unchanged);
        }
        let index = answer.headers().get(INDEX).and_then(|value| value.to_str().ok()?.parse().ok());
        let bytes = self.bytes(answer, LARGEST).await?;
        let addresses: Vec<String> = serde_json::from_slice(&bytes)
            .map_err(|_| self.garbage("its engines are no array of texts"))?;
        if addresses.len() > MAX_ENTRIES {
            return Err(self.garbage("it gave more engines than a pool may have"));
        }
        let entries = addresses.iter().map(|address| address.parse());
        let mut entries = entries
            .collect::<Result<Vec<Entry>, _>>()
            .map_err(|error| self.garbage(&error.to_string()))?;
        let mut seen = std::collections::HashSet::with_capacity(entries.len());
        entries.retain(|entry| seen.insert(entry.clone()));
        Ok(Polled::Set { index, entries })
    }

    pub(crate) async fn register(
        &self,
        token: &str,
        entry: &Entry,
        ttl: Duration,
    ) -> Result<(), DiscoveryError> {
        // Rounded up: a registration that ends before it is renewed is none.
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let request = self.request(Method::POST, &[token], &[("ttl", seconds.max(1))])?;
        let answer = self.ask(request.body(entry.to_string()), DEADLINE).await?;
        // Read to its end, or the connection could not be used for the next renewal.
        self.bytes(answer, 1024).await.map(drop)
    }

    pub(crate) async fn deregister(
        &self,
        token: &str,
        entry: &Entry,
    ) -> Result<(), DiscoveryError> {
        let request = self.request(Method::DELETE, &[token, &entry.to_string()], &[])?;
        self.ask(request, DEADLINE).await.map(drop)
    }

    pub(crate) async fn node(
        &self,
        token: &str,
        entry: &Entry,
    ) -> Result<NodeState, DiscoveryError> {
        let request = self.request(Method::GET, &[token, &entry.to_string()], &[])?;
        let answer = self.ask(request, DEADLINE).await?;
        let bytes = self.bytes(answer, 1024).await?;
        serde_json::from_slice(&bytes).map_err(|_| self.garbage("it told no engine's state"))
    }

    fn request(
        &self,
        method: Method,
        pieces: &[&str],
        query: &[(&str, u64)],
    ) -> Result<RequestBuilder, DiscoveryError> {
        let mut url = self.site.clusters(pieces);
        for (name, value) in query {
            url.query_pairs_mut().append_pair(name, &value.to_string());
        }
        if let Some(client) = self.client.get() {
            return Ok(client.request(method, url));
        }
        let client = connect::client(&self.options, self.site.is_plain())?;
        Ok(self.client.get_or_init(|| client).request(method, url))
    }

    /// Sends a request; what is no success is an error in the service's own words.
    async fn ask(
        &self,
        request: RequestBuilder,
        deadline: Duration,
    ) -> Result<Response, DiscoveryError> {
        let answer = request.timeout(deadline).send().await;
        let answer = answer.map_err(|error| self.silent(&error))?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        let words = self.text(answer, 4096).await.unwrap_or_default();
        // What answers before the service does (a door of TLS) speaks in Docker's form.
        let said = serde_json::from_str::<serde_json::Value>(&words).ok();
        let words =
            said.and_then(|said| Some(said["message"].as_str()?.to_owned())).unwrap_or(words);
        let words: String = words.trim().chars().filter(|c| !c.is_control()).take(WORDS).collect();
        let reason = if words.is_empty() { status.to_string() } else { words };
        Err(DiscoveryError::TokenRefused {
            service: self.site.to_string(),
            status: status.as_u16(),
            reason,
        })
    }

    async fn bytes(&self, mut answer: Response, limit: usize) -> Result<Vec<u8>, DiscoveryError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.silent(&error))? {
            if bytes.len() + chunk.len() > limit {
                return Err(self.garbage(&format!("its answer is larger than {limit} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn text(&self, answer: Response, limit: usize) -> Result<String, DiscoveryError> {
        let bytes = self.bytes(answer, limit).await?;
        String::from_utf8(bytes).map_err(|_| self.garbage("its answer is no text"))
    }

    fn garbage(&self, reason: &str) -> DiscoveryError {
        DiscoveryError::TokenGarbage { service: self.site.to_string(), reason: reason.to_owned() }
    }

    /// The innermost cause says it best; the address, which holds the token, is left out.
    fn silent(&self, error: &reqwest::Error) -> DiscoveryError {
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        let mut reason = match causes.last().map(ToString::to_string) {
            _ if error.is_timeout() => "no answer in time".to_owned(),
            Some(words) if words.contains("InvalidContentType") => {
                format!("{words}: it speaks plain HTTP, and its address begins with http://")
            }
            Some(words) => words,
            None => "the connection failed".to_owned(),
        };
        // A service that misses our certificate hangs up after the handshake; whether its reason
        // comes through before the connection breaks is chance.
        let hung_up = !error.is_timeout() && !error.is_connect();
        if hung_up && !self.site.is_plain() && self.options.cert.is_none() {
            reason.push_str("; a service that wants client certificates needs token.certfile");
        }
        DiscoveryError::TokenSilent { service: self.site.to_string(), reason }
    }
}
