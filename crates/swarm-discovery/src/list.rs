//! A fixed set of engines, written in the discovery URL itself: `nodes://A:1,B:2`, the
//! bare `A:1,B:2`, or one `tcp://` or `unix://` address.
//!
//! It never changes and never fails once it is made; nothing can be registered in it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use crate::range::{MAX_ENTRIES, Pattern};
use crate::{DiscoveryBackend, DiscoveryError, Entry, EntryStream, ListError};

/// The entries of a list, in the order given.
#[derive(Debug)]
pub(crate) struct List {
    url: String,
    entries: Arc<[Entry]>,
}

impl List {
    /// `addresses` is what stands behind `nodes://`; `url` is the whole, for messages.
    pub(crate) fn parse(url: &str, addresses: &str) -> Result<Self, DiscoveryError> {
        let mut collected = Collector::default();
        // An empty piece (`A:1,,B:2`, a trailing comma) is passed over, as in classic.
        for address in addresses.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
            collected
                .add(address)
                .map_err(|source| DiscoveryError::List { url: url.to_owned(), source })?;
        }
        if collected.entries.is_empty() {
            return Err(DiscoveryError::Url {
                url: url.to_owned(),
                reason: "it names no engine; expected HOST:PORT[,HOST:PORT...]".to_owned(),
            });
        }
        Ok(Self { url: url.to_owned(), entries: collected.entries.into() })
    }
}

/// Gathers entries from addresses with ranges: each once, in order, within the bound.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    pub(crate) entries: Vec<Entry>,
    seen: HashSet<Entry>,
    written: usize,
}

impl Collector {
    pub(crate) fn add(&mut self, address: &str) -> Result<(), ListError> {
        let pattern = Pattern::parse(address)?;
        // Counted before duplicates are dropped: the bound is on work, not on the result.
        self.written = self.written.saturating_add(pattern.count());
        if self.written > MAX_ENTRIES {
            return Err(ListError::TooMany);
        }
        for address in pattern.expand() {
            let entry: Entry = address.parse()?;
            if self.seen.insert(entry.clone()) {
                self.entries.push(entry);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl DiscoveryBackend for List {
    fn describe(&self) -> String {
        self.url.clone()
    }

    async fn fetch(&self) -> Result<Vec<Entry>, DiscoveryError> {
        Ok(self.entries.to_vec())
    }

    fn watch(&self) -> EntryStream {
        let entries = Arc::clone(&self.entries);
        Box::pin(stream::once(async { Ok(entries) }).chain(stream::pending()))
    }

    async fn register(&self, _entry: &Entry, _ttl: Duration) -> Result<(), DiscoveryError> {
        Err(self.no_registration())
    }

    async fn deregister(&self, _entry: &Entry) -> Result<(), DiscoveryError> {
        Err(self.no_registration())
    }
}

impl List {
    fn no_registration(&self) -> DiscoveryError {
        DiscoveryError::NoRegistration {
            url: self.url.clone(),
            hint: "give the manager the address in its list instead",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(addresses: &str) -> Result<Vec<String>, DiscoveryError> {
        let list = List::parse(addresses, addresses)?;
        Ok(list.entries.iter().map(Entry::to_string).collect())
    }

    #[test]
    fn a_list_keeps_its_order_and_drops_doubles() {
        let got = list("b:2, a:1,,b:2,tcp://a:1,[::1]:3,unix:///run/x.sock,c[1:2]:4,").unwrap();
        assert_eq!(got, ["b:2", "a:1", "[::1]:3", "unix:///run/x.sock", "c1:4", "c2:4"]);
    }

    #[test]
    fn a_bad_list_says_what_is_wrong_with_which_address() {
        let table = [
            (" , ", "names no engine"),
            ("a:1,b", "\"b\" has no valid port"),
            ("a:1,b:99999", "\"b:99999\" has no valid port"),
            ("a:1,http://b:1", "\"http://b:1\" has a scheme that names no engine"),
            ("a:[0:2]", "\"a:0\" has no valid port"),
            ("[1:50000]:1,a[1:50000]:1", "more than 65536 addresses in all"),
        ];
        for (addresses, words) in table {
            let error = list(addresses).unwrap_err().to_string();
            assert!(error.contains(words), "{addresses}: {error}");
        }
    }
}
