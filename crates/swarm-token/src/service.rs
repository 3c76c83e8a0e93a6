//! The service behind the routes: the book, its disk, the clock and the bounds, put together.
//!
//! Invariants: the book's lock is not held while anything is waited for; what is answered with
//! success is on disk, but for the times of use, which are written seldom.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::book::Book;
use crate::clock::{Clock, Millis, millis};
use crate::creations::Creations;
use crate::disk::{Change, Disk};
use crate::route::Poll;
use crate::rows::{ClusterRow, NodeState, Time};
use crate::writer::Writer;
use crate::{DiskError, Limits, OwnerKey, Refusal, Token};

/// Between two looks for what ran out.
const LOOK: Duration = Duration::from_secs(1);
/// A changed set is given to those who wait for it once it had this long to change further: a pool
/// that starts registers a thousand engines in a second or two.
const SETTLE: Duration = Duration::from_millis(100);
/// Times of use are written when they are this much newer, or an eighth of a token's life.
const USE_KEPT: Millis = 3_600_000;
/// Times of use written at one look.
const USES_AT_ONCE: usize = 256;
/// And when the service stops: as many as the writer's queue takes.
const USES_AT_THE_END: usize = 4_096;

/// How a service runs.
#[derive(Debug)]
pub struct ServiceConfig {
    /// Where its file is.
    pub directory: PathBuf,
    /// A token that is not used for so long is dropped.
    pub expire: Duration,
    /// The owner's key.
    pub owner: OwnerKey,
    /// Its bounds.
    pub limits: Limits,
}

/// The service.
#[derive(Debug)]
pub struct Service {
    book: Mutex<Book>,
    writer: Writer,
    clock: Clock,
    owner: OwnerKey,
    creations: Mutex<Creations>,
    waiters: Semaphore,
    pub(crate) limits: Limits,
    use_kept: Millis,
}

/// A set of engines, or that it has not changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Nodes {
    pub(crate) index: u64,
    /// Sorted; none where the set is the one that the asker knows.
    pub(crate) set: Option<Vec<Box<str>>>,
}

impl Service {
    /// Opens the directory's file. The task that is returned ends when the service is dropped and
    /// everything is written.
    pub async fn open(config: ServiceConfig) -> Result<(Arc<Self>, JoinHandle<()>), DiskError> {
        let ServiceConfig { directory, expire, owner, limits } = config;
        let path = directory.clone();
        let opened = tokio::task::spawn_blocking(move || Disk::open(&path)).await;
        let (disk, kept) = opened.map_err(|error| DiskError::Damaged {
            path: directory.join(crate::FILE),
            reason: error.to_string(),
        })??;
        let clock = Clock::start();
        let (now, expire) = (clock.now(), millis(expire));
        let mut book = Book::new(limits.clone(), expire);
        for (token, created, used) in kept.clusters {
            book.restore(token, created, used, now);
        }
        let (writer, written) = Writer::start(disk);
        for (token, address, ttl) in kept.nodes {
            if !book.restore_node(token, &address, ttl, now) {
                // Its token was removed while it registered.
                if let Some(place) = writer.place_now() {
                    place.put(Change::Gone { token, address });
                }
            }
        }
        let service = Self {
            book: Mutex::new(book),
            writer,
            clock,
            owner,
            creations: Mutex::new(Creations::new(limits.creations)),
            waiters: Semaphore::new(limits.waiters),
            limits,
            use_kept: USE_KEPT.min(expire / 8),
        };
        Ok((Arc::new(service), written))
    }

    /// Whether `key` is the owner's.
    pub(crate) fn is_owner(&self, key: Option<&str>) -> bool {
        key.is_some_and(|key| self.owner.is(key))
    }

    /// Makes a token; the owner may as fast as he likes.
    pub(crate) async fn create(&self, source: IpAddr, owner: bool) -> Result<Token, Refusal> {
        let now = self.clock.now();
        if !owner {
            let taken = self.creations.lock().take(source, now);
            taken.map_err(|seconds| Refusal::TooFast { seconds })?;
        }
        let place = self.writer.place().await?;
        let token = Token::random();
        let written = {
            let mut book = self.book.lock();
            book.create(token, now)?;
            place.put(Change::Create { token, at: now })
        };
        let written = written.wait().await;
        if written.is_err() {
            self.book.lock().remove(token);
        }
        written.map(|()| token)
    }

    /// Registers an engine for `ttl` seconds. A renewal is answered from memory.
    pub(crate) async fn register(
        &self,
        token: Token,
        address: Box<str>,
        ttl: u32,
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        if self.renew(token, &address, ttl, now)? {
            return Ok(());
        }
        let place = self.writer.place().await?;
        let written = {
            let mut book = self.book.lock();
            if !book.register(token, &address, ttl, now)? {
                return Ok(());
            }
            place.put(Change::Node { token, address: address.clone(), ttl })
        };
        written.wait().await?;
        self.book.lock().kept(token, &address, ttl);
        Ok(())
    }

    /// Whether it is there already, on disk, for as long.
    fn renew(&self, token: Token, address: &str, ttl: u32, now: Millis) -> Result<bool, Refusal> {
        let mut book = self.book.lock();
        let known = book.open(token, now)?.nodes.get(address);
        if !known.is_some_and(|node| node.kept && node.ttl == ttl) {
            return Ok(false);
        }
        Ok(!book.register(token, address, ttl, now)?)
    }

    /// Takes an engine's registration back; there need not be one.
    pub(crate) async fn deregister(&self, token: Token, address: Box<str>) -> Result<(), Refusal> {
        let place = self.writer.place().await?;
        let written = {
            let mut book = self.book.lock();
            if !book.deregister(token, &address, self.clock.now())? {
                return Ok(());
            }
            place.put(Change::Left { token, address })
        };
        written.wait().await
    }

    /// Makes a token's engines exactly these, and the token where there is none: on disk first, so
    /// that a failure changes nothing. Who registers meanwhile may have to renew to be seen.
    pub(crate) async fn replace(
        &self,
        token: Token,
        mut addresses: Vec<Box<str>>,
        ttl: u32,
    ) -> Result<(), Refusal> {
        addresses.sort_unstable();
        addresses.dedup();
        let at = self.clock.now();
        let place = self.writer.place().await?;
        self.book.lock().fits(token, addresses.len())?;
        let change = Change::Replace { token, at, addresses: addresses.clone(), ttl };
        place.put(change).wait().await?;
        self.book.lock().replace(token, addresses, ttl, self.clock.now())
    }

    /// Drops a token and its engines: on disk first, so that a failure can be tried again. What is
    /// registered under it meanwhile is passed over at the next start.
    pub(crate) async fn remove(&self, token: Token) -> Result<(), Refusal> {
        let place = self.writer.place().await?;
        if !self.book.lock().knows(token) {
            return Err(Refusal::UnknownToken);
        }
        place.put(Change::Remove { token }).wait().await?;
        self.book.lock().remove(token);
        Ok(())
    }

    /// The set now; with `poll`, once it is another than the one of that index, or after the time
    /// to wait, or when the service stops.
    pub(crate) async fn nodes(
        &self,
        token: Token,
        poll: Option<Poll>,
        stopping: &CancellationToken,
    ) -> Result<Nodes, Refusal> {
        let Some(Poll { index, wait }) = poll else { return self.look(token, None) };
        let mut changes = self.changes(token)?;
        if *changes.borrow_and_update() != index {
            return self.look(token, None);
        }
        let limit = self.limits.waiters;
        let place = self.waiters.try_acquire();
        let _place = place.map_err(|_| Refusal::TooManyWaiters { limit })?;
        tokio::select! {
            changed = changes.changed() => {
                changed.map_err(|_| Refusal::UnknownToken)?;
                let _ = stopping.run_until_cancelled(tokio::time::sleep(SETTLE)).await;
            }
            () = tokio::time::sleep(wait) => {}
            () = stopping.cancelled() => {}
        }
        self.look(token, Some(index))
    }

    fn changes(&self, token: Token) -> Result<watch::Receiver<u64>, Refusal> {
        Ok(self.book.lock().open(token, self.clock.now())?.follow())
    }

    fn look(&self, token: Token, known: Option<u64>) -> Result<Nodes, Refusal> {
        let mut book = self.book.lock();
        let cluster = book.open(token, self.clock.now())?;
        let index = cluster.index();
        let set = (known != Some(index)).then(|| cluster.nodes.keys().cloned().collect());
        Ok(Nodes { index, set })
    }

    /// What there is to say of one engine.
    pub(crate) fn node(&self, token: Token, address: &str) -> Result<NodeState, Refusal> {
        let now = self.clock.now();
        let mut book = self.book.lock();
        let cluster = book.open(token, now)?;
        Ok(match (cluster.nodes.get(address), cluster.left.contains_key(address)) {
            (Some(node), _) => NodeState::Registered {
                ttl: node.ttl,
                renewed_ms: now.saturating_sub(node.renewed),
            },
            (None, true) => NodeState::Left,
            (None, false) => NodeState::Absent,
        })
    }

    /// All tokens, the one that was used last first.
    pub(crate) fn clusters(&self) -> Vec<ClusterRow> {
        let book = self.book.lock();
        let mut rows: Vec<_> = book
            .all()
            .map(|(token, cluster)| ClusterRow {
                token,
                nodes: cluster.nodes.keys().cloned().collect(),
                created: Time(cluster.created),
                used: Time(cluster.used),
                expires: Time(book.expires(cluster)),
            })
            .collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.used), row.created));
        rows
    }

    /// Drops what runs out, until `stop`; then times of use are written a last time.
    pub(crate) async fn look_after(&self, stop: &CancellationToken) {
        let mut looks = tokio::time::interval(LOOK);
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            self.sweep();
            self.keep_uses(self.use_kept, USES_AT_ONCE);
        }
        self.keep_uses(0, USES_AT_THE_END);
    }

    fn sweep(&self) {
        let mut book = self.book.lock();
        let ended = book.expire(self.clock.now());
        if !ended.clusters.is_empty() {
            info!(tokens = ended.clusters.len(), "tokens expired that nobody used");
        }
        let removed = ended.clusters.into_iter().map(|token| Change::Remove { token });
        let gone = ended.nodes.into_iter().map(|(token, address)| Change::Gone { token, address });
        for change in removed.chain(gone) {
            // Not written in time, it is there again after a start, for its length.
            let Some(place) = self.writer.place_now() else {
                warn!("the disk is slow: what ran out is kept there longer");
                break;
            };
            place.put(change);
        }
    }

    fn keep_uses(&self, by: Millis, most: usize) {
        let mut book = self.book.lock();
        for (token, at) in book.uses_to_keep(by, most) {
            if let Some(place) = self.writer.place_now() {
                place.put(Change::Use { token, at });
            }
        }
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
