//! What every discovery backend must do, as one test that a backend's author runs over
//! it. The backend brings a [`Subject`]: the backend and a hand on its source.
//!
//! A capability that a source does not have (a fixed list cannot change) is declared by
//! its subject; a refusal in the right words is then what is checked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;

use crate::{DiscoveryBackend, DiscoveryError, Entry, EntryStream, Update};

/// How long any backend may take to show a change: four times the slowest poll.
const SOON: Duration = Duration::from_secs(4);
/// How long a watch must stay silent to count as having nothing to say.
const QUIET: Duration = Duration::from_secs(3);

/// A backend under test and its source.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The backend.
    fn backend(&self) -> Arc<dyn DiscoveryBackend>;
    /// What its source holds at the start; not empty.
    fn initial(&self) -> Vec<Entry>;
    /// Makes the source hold exactly `entries`; `false` when it cannot change.
    async fn set(&self, entries: &[Entry]) -> bool;
    /// Makes the source unreadable; `false` when it cannot be. `set` mends it.
    async fn spoil(&self) -> bool;
    /// Whether engines register themselves here.
    fn registers(&self) -> bool;
}

/// Runs every check. Panics, as tests do, at the first that fails.
pub async fn check(subject: &dyn Subject) {
    let backend = subject.backend();
    let initial = subject.initial();
    assert!(!backend.describe().is_empty(), "a backend can say what it is");
    assert_eq!(backend.fetch().await.ok(), Some(initial.clone()), "fetch gives the set");

    let mut watch = backend.watch();
    assert_eq!(set(next(&mut watch).await), initial, "a watch starts with the set");
    assert!(quiet(&mut watch).await, "a set that stays is given once");

    changes(subject, &mut watch).await;
    failures(subject, &mut watch).await;
    registration(subject, &mut watch).await;

    let mut second = backend.watch();
    let present = backend.fetch().await.unwrap_or_default();
    assert_eq!(set(next(&mut second).await), present, "a later watch starts with the set too");
}

async fn changes(subject: &dyn Subject, watch: &mut EntryStream) {
    let more = entries(&["[2001:db8::1]:3", "a.test:1", "b.test:2"]);
    if !subject.set(&more).await {
        return;
    }
    assert_eq!(set(next(watch).await), more, "a change is seen whole");
    assert_eq!(subject.backend().fetch().await.ok(), Some(more.clone()), "and fetched");
    assert!(subject.set(&more).await);
    assert!(quiet(watch).await, "an equal set is no news");
    let fewer = entries(&["b.test:2"]);
    assert!(subject.set(&fewer).await);
    assert_eq!(set(next(watch).await), fewer, "what is gone is gone from the set");
    assert!(subject.set(&[]).await);
    assert_eq!(set(next(watch).await), [], "an empty set is a set, not an error");
    assert!(subject.set(&subject.initial()).await);
    assert_eq!(set(next(watch).await), subject.initial());
}

async fn failures(subject: &dyn Subject, watch: &mut EntryStream) {
    if !subject.spoil().await {
        return;
    }
    let error = next(watch).await.err().map(|error| error.to_string());
    assert!(error.is_some_and(|words| !words.is_empty()), "a failure is an error, not a set");
    assert!(subject.backend().fetch().await.is_err(), "fetch fails too");
    assert!(quiet(watch).await, "a failure that lasts is told once");
    assert!(subject.set(&subject.initial()).await);
    assert_eq!(
        set(next(watch).await),
        subject.initial(),
        "after a failure the set is given again, though it is equal: the failure is over"
    );
}

async fn registration(subject: &dyn Subject, watch: &mut EntryStream) {
    let backend = subject.backend();
    let Some(newcomer) = entries(&["new.test:2375"]).pop() else { return };
    let ttl = Duration::from_mins(1);
    if !subject.registers() {
        let refused = backend.register(&newcomer, ttl).await;
        assert!(matches!(refused, Err(DiscoveryError::NoRegistration { .. })), "{refused:?}");
        let refused = backend.deregister(&newcomer).await;
        assert!(matches!(refused, Err(DiscoveryError::NoRegistration { .. })), "{refused:?}");
        return;
    }
    for _ in 0..2 {
        let done = backend.register(&newcomer, ttl).await;
        assert!(done.is_ok(), "registering, and doing it again, is allowed: {done:?}");
    }
    assert!(set(next(watch).await).contains(&newcomer), "who registers is seen");
    for _ in 0..2 {
        let done = backend.deregister(&newcomer).await;
        assert!(done.is_ok(), "taking back, and doing it again, is allowed: {done:?}");
    }
    assert!(!set(next(watch).await).contains(&newcomer), "who deregisters is gone");
}

fn entries(addresses: &[&str]) -> Vec<Entry> {
    addresses.iter().filter_map(|address| address.parse().ok()).collect()
}

/// The set of an update; the empty text of a failed one never equals a set.
fn set(update: Update) -> Vec<Entry> {
    match update {
        Ok(entries) => entries.to_vec(),
        Err(error) => {
            assert!(error.to_string().is_empty(), "expected a set, got the error: {error}");
            Vec::new()
        }
    }
}

async fn next(watch: &mut EntryStream) -> Update {
    let update = tokio::time::timeout(SOON, watch.next()).await.ok().flatten();
    assert!(update.is_some(), "an update was due within {SOON:?}, and a watch never ends");
    update.unwrap_or_else(|| Ok(Arc::from([])))
}

async fn quiet(watch: &mut EntryStream) -> bool {
    tokio::time::timeout(QUIET, watch.next()).await.is_err()
}
