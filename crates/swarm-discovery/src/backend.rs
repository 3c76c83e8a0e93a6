//! The port that every discovery backend implements: fixed lists and files now, the
//! key-value stores, the token service and the embedded store later. It says which
//! engines belong to a pool, and leaves dialling and judging them to the pool.
//!
//! Invariants for every implementation (the `conformance` module checks them):
//! - a set is always whole: a watcher never has to combine two items;
//! - a set has no entry twice, and keeps the source's order;
//! - an error never empties the pool: the set given before it stays in force;
//! - a watch starts with the present set or the present error, at once;
//! - equal sets are not repeated by a watch, unless an error stood between them.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::Stream;

use crate::{DiscoveryError, Entry};

/// What a watcher gets: a whole new set, or why the last one could not be renewed.
pub type Update = Result<Arc<[Entry]>, DiscoveryError>;

/// An endless stream of updates; dropping it ends the watch and frees its resources.
pub type EntryStream = Pin<Box<dyn Stream<Item = Update> + Send>>;

/// What a source says of one engine's registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Nothing: a person wrote the set, engines do not register.
    Fixed,
    /// It is not there.
    Absent,
    /// It is there, and was last renewed so long ago.
    Renewed(Duration),
    /// It is there; the source cannot tell when it was renewed.
    Present,
    /// The source hears of its engines all the time, and has given this one up.
    Down,
}

/// A source of a pool's engines.
#[async_trait]
pub trait DiscoveryBackend: fmt::Debug + Send + Sync {
    /// The URL this backend was made from, for logs and messages, without secrets.
    fn describe(&self) -> String;

    /// The present set, asked afresh.
    async fn fetch(&self) -> Result<Vec<Entry>, DiscoveryError>;

    /// The present set and every later one. An `Err` item leaves the last set in
    /// force; the stream goes on after it.
    fn watch(&self) -> EntryStream;

    /// Whether engines register here; where they do not, a person writes the set.
    fn takes_registrations(&self) -> bool {
        false
    }

    /// Enters an engine for `ttl`; the caller renews it well before `ttl` is over.
    /// [`DiscoveryError::NoRegistration`] where the set is fixed from outside.
    async fn register(&self, entry: &Entry, ttl: Duration) -> Result<(), DiscoveryError>;

    /// Takes an engine's entry back; taking back what is not there is no error.
    async fn deregister(&self, entry: &Entry) -> Result<(), DiscoveryError>;

    /// Where no engine at all is named: what to tell a person who expected some; `None` where a
    /// person wrote the set.
    fn nobody(&self) -> Option<String> {
        None
    }

    /// Whether an engine that is named no longer was taken out on purpose, by its agent or by a
    /// person, rather than that nobody renewed it. Where a person writes the set, always.
    async fn has_left(&self, _entry: &Entry) -> Result<bool, DiscoveryError> {
        Ok(true)
    }

    /// What the source says of an engine now, asked afresh.
    async fn registration(&self, _entry: &Entry) -> Result<Registration, DiscoveryError> {
        Ok(Registration::Fixed)
    }
}
