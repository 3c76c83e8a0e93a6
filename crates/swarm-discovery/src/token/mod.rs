//! `token://ID`: engines registered under a token at a token service (`swarm discovery`).
//!
//! A watch is one question that the service answers when the set changes, so that an idle pool is
//! silent. It leaves the service's words and errors to `service`, the connection to `connect`.
//!
//! Invariants: the last set stays while the service fails, and a failure that lasts is told once;
//! two questions are at least [`PACE`] apart, and after a failure further, by chance.

mod connect;
mod options;
mod service;
mod site;

pub use options::TokenOptions;
pub use service::{TokenRow, TokenService};
pub use site::Site;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use swarm_backoff::Backoff;

use crate::token::service::{NodeState, Polled};
use crate::{DiscoveryBackend, DiscoveryError, Entry, EntryStream, Registration, Update};

/// How long one question of a watch waits for a change: below the minute that proxies allow.
const WAIT: Duration = Duration::from_secs(50);
/// Between two questions at least: a pool that starts changes many times a second.
const PACE: Duration = Duration::from_millis(250);
/// Between two questions while the service fails, at the most.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// A pool's engines at a token service.
#[derive(Debug)]
pub(crate) struct Token {
    service: Arc<TokenService>,
    id: Arc<str>,
}

impl Token {
    /// `rest` is what stands behind `token://`: `ID`, or classic's `HOST:PORT/PATH/ID`.
    pub(crate) fn parse(rest: &str, options: TokenOptions) -> Result<Self, DiscoveryError> {
        let (site, id) = site::read(rest, options.url.as_deref())?;
        Ok(Self { service: Arc::new(TokenService::new(site, options)), id: id.into() })
    }
}

#[async_trait]
impl DiscoveryBackend for Token {
    fn describe(&self) -> String {
        // The first characters tell tokens apart; all of them would give the pool away.
        let start = self.id.get(..4).unwrap_or_default();
        format!("token://{start}… at {}", self.service.site())
    }

    async fn fetch(&self) -> Result<Vec<Entry>, DiscoveryError> {
        self.service.nodes(&self.id).await
    }

    fn watch(&self) -> EntryStream {
        let watcher = Watcher {
            service: Arc::clone(&self.service),
            id: Arc::clone(&self.id),
            index: None,
            pause: None,
            backoff: Backoff::new(PACE * 2, LONGEST_PAUSE),
            last: None,
        };
        Box::pin(stream::unfold(watcher, |mut watcher| async move {
            let update = watcher.next().await;
            Some((update, watcher))
        }))
    }

    fn takes_registrations(&self) -> bool {
        true
    }

    async fn register(&self, entry: &Entry, ttl: Duration) -> Result<(), DiscoveryError> {
        self.service.register(&self.id, registrable(entry)?, ttl).await
    }

    async fn deregister(&self, entry: &Entry) -> Result<(), DiscoveryError> {
        self.service.deregister(&self.id, registrable(entry)?).await
    }

    async fn has_left(&self, entry: &Entry) -> Result<bool, DiscoveryError> {
        Ok(matches!(self.service.node(&self.id, entry).await?, NodeState::Left))
    }

    async fn registration(&self, entry: &Entry) -> Result<Registration, DiscoveryError> {
        Ok(match self.service.node(&self.id, entry).await? {
            NodeState::Registered { renewed_ms } => {
                Registration::Renewed(Duration::from_millis(renewed_ms))
            }
            NodeState::Left | NodeState::Absent => Registration::Absent,
        })
    }
}

fn registrable(entry: &Entry) -> Result<&Entry, DiscoveryError> {
    match entry {
        Entry::Tcp { .. } => Ok(entry),
        Entry::Unix { .. } | Entry::Node { .. } => {
            Err(DiscoveryError::NotRegistrable { entry: entry.to_string() })
        }
    }
}

struct Watcher {
    service: Arc<TokenService>,
    id: Arc<str>,
    /// Of the set that is known; none makes the next question be answered at once.
    index: Option<u64>,
    /// Before the next question; none before the first.
    pause: Option<Duration>,
    backoff: Backoff,
    /// What was given last: a set, or an error's words.
    last: Option<Result<Arc<[Entry]>, String>>,
}

impl Watcher {
    async fn next(&mut self) -> Update {
        loop {
            if let Some(pause) = self.pause {
                tokio::time::sleep(pause).await;
            }
            let update: Update = match self.service.poll(&self.id, self.index, WAIT).await {
                Ok(Polled::Unchanged) => {
                    self.answered();
                    continue;
                }
                Ok(Polled::Set { index, entries }) => {
                    self.answered();
                    self.index = index;
                    Ok(entries.into())
                }
                Err(error) => {
                    self.index = None;
                    self.pause = Some(self.backoff.step());
                    Err(error)
                }
            };
            let told = Some(update.as_ref().map(Arc::clone).map_err(ToString::to_string));
            // However an outage goes on, it is one: refused now, silent a moment later.
            let goes_on = update.is_err() && matches!(self.last, Some(Err(_)));
            if self.last != told && !goes_on {
                self.last = told;
                return update;
            }
        }
    }

    fn answered(&mut self) {
        self.pause = Some(PACE);
        self.backoff.reset();
    }
}
