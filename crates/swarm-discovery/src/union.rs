//! Two sources as one: the engines of the first, then those of the second that the first lacks.
//! Registration is the second's business.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use crate::{DiscoveryBackend, DiscoveryError, Entry, EntryStream, Registration, Update};

/// A fixed source and one where engines register.
#[derive(Debug)]
pub struct Union {
    fixed: Arc<dyn DiscoveryBackend>,
    registered: Arc<dyn DiscoveryBackend>,
}

impl Union {
    /// Of a source that a person wrote and one where engines register.
    pub fn new(fixed: Arc<dyn DiscoveryBackend>, registered: Arc<dyn DiscoveryBackend>) -> Self {
        Self { fixed, registered }
    }

    async fn is_fixed(&self, entry: &Entry) -> bool {
        self.fixed.fetch().await.is_ok_and(|entries| entries.contains(entry))
    }
}

fn united(first: &[Entry], second: &[Entry]) -> Arc<[Entry]> {
    let known: HashSet<&Entry> = first.iter().collect();
    first.iter().chain(second.iter().filter(|entry| !known.contains(entry))).cloned().collect()
}

enum From {
    Fixed(Update),
    Registered(Update),
}

#[derive(Default)]
struct Known {
    fixed: Arc<[Entry]>,
    /// Empty until it was heard of: the fixed ones need not wait for it.
    registered: Arc<[Entry]>,
}

#[async_trait]
impl DiscoveryBackend for Union {
    fn describe(&self) -> String {
        format!("{} and {}", self.fixed.describe(), self.registered.describe())
    }

    async fn fetch(&self) -> Result<Vec<Entry>, DiscoveryError> {
        let (fixed, registered) = (self.fixed.fetch().await?, self.registered.fetch().await?);
        Ok(united(&fixed, &registered).to_vec())
    }

    fn watch(&self) -> EntryStream {
        let both = stream::select(
            self.fixed.watch().map(From::Fixed),
            self.registered.watch().map(From::Registered),
        );
        let mut known = Known::default();
        Box::pin(both.map(move |update| {
            match update {
                From::Fixed(update) => known.fixed = update?,
                From::Registered(update) => known.registered = update?,
            }
            Ok(united(&known.fixed, &known.registered))
        }))
    }

    fn takes_registrations(&self) -> bool {
        true
    }

    async fn register(&self, entry: &Entry, ttl: Duration) -> Result<(), DiscoveryError> {
        self.registered.register(entry, ttl).await
    }

    async fn deregister(&self, entry: &Entry) -> Result<(), DiscoveryError> {
        self.registered.deregister(entry).await
    }

    async fn has_left(&self, entry: &Entry) -> Result<bool, DiscoveryError> {
        self.registered.has_left(entry).await
    }

    async fn registration(&self, entry: &Entry) -> Result<Registration, DiscoveryError> {
        if self.is_fixed(entry).await {
            return Ok(Registration::Fixed);
        }
        self.registered.registration(entry).await
    }
}
