//! Reading: one key, a directory's children. Both through the cluster's quorum.

use bytes::Bytes;
use swarm_kv::{Item, Revision, StoreError};

use crate::client::Client;
use crate::fault::Fault;
use crate::proto::{KeyValue, RangeRequest};

/// So many keys per page at first: some 2 MB of containers' intents.
const PAGE: i64 = 1000;

/// How often a list is begun anew when the history is compacted while it is read.
const BEGINNINGS: usize = 3;

/// The children of a directory, and the store's revision at which they were all of them.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) items: Vec<Item>,
    pub(crate) revision: i64,
}

impl Client {
    /// One key as the store has it; none where it is not there.
    pub(crate) async fn key_value(&self, key: &str) -> Result<Option<KeyValue>, StoreError> {
        let range = RangeRequest { key: Bytes::from(key.to_owned()), ..RangeRequest::default() };
        let answer = self.call(&range).await.map_err(|fault| self.error(fault))?;
        Ok(answer.value.kvs.into_iter().next())
    }

    /// The children of a directory. The deadline holds for each page of it.
    pub(crate) async fn children(&self, directory: &str) -> Result<Listing, Fault> {
        let mut fault = Fault::Compacted;
        for _ in 0..BEGINNINGS {
            match self.pages(directory).await {
                Err(Fault::Compacted) => fault = Fault::Compacted,
                other => return other,
            }
        }
        Err(fault)
    }

    async fn pages(&self, directory: &str) -> Result<Listing, Fault> {
        let (mut key, range_end) = span(directory);
        let mut listing = Listing { items: Vec::new(), revision: 0 };
        let mut limit = PAGE;
        loop {
            let revision = listing.revision;
            let range = RangeRequest {
                key: key.clone(),
                range_end: range_end.clone(),
                limit,
                revision,
                keys_only: false,
            };
            let page = match self.call(&range).await {
                Ok(answer) => answer.value,
                Err(Fault::TooLong) if limit > 1 => {
                    limit /= 2;
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            if revision == 0 {
                // Every further page is read as of the first one.
                listing.revision = page.header.map_or(0, |header| header.revision);
            }
            let last = page.kvs.last().map(|kv| kv.key.clone());
            listing.items.extend(page.kvs.into_iter().filter_map(|kv| child(directory, kv)));
            match last {
                Some(last) if page.more => key = [&last[..], &[0]].concat().into(),
                _ => return Ok(listing),
            }
        }
    }
}

/// Everything below a directory: from `dir/` to before `dir0`, `0` being what follows `/`.
pub(crate) fn span(directory: &str) -> (Bytes, Bytes) {
    (format!("{directory}/").into(), format!("{directory}0").into())
}

/// A key as an item, where it is a direct child of the directory. Bytes that are no text are no key
/// of ours.
pub(crate) fn child(directory: &str, kv: KeyValue) -> Option<Item> {
    let key = std::str::from_utf8(&kv.key).ok()?;
    let name = key.strip_prefix(directory)?.strip_prefix('/')?;
    (!name.is_empty() && !name.contains('/'))
        .then(|| item(key.to_owned(), kv.value, kv.mod_revision))
}

/// What the port calls an item.
pub(crate) fn item(key: String, value: Bytes, mod_revision: i64) -> Item {
    Item { key, value, revision: revision(mod_revision) }
}

/// etcd's revisions are never negative.
pub(crate) fn revision(mod_revision: i64) -> Revision {
    Revision(mod_revision.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_direct_children_are_taken() {
        for (key, taken) in [
            (&b"a/nodes/x:1"[..], true),
            (b"a/nodes/", false),
            (b"a/nodes/x/y", false),
            (b"a/nodesx/y", false),
            (b"a/nodes/\xff", false),
            (b"a/nodes", false),
        ] {
            let kv = KeyValue { key: Bytes::from_static(key), ..KeyValue::default() };
            assert_eq!(child("a/nodes", kv).is_some(), taken, "{key:?}");
        }
        let (from, to) = span("a/nodes");
        assert!(from <= "a/nodes/\u{10ffff}" && to > "a/nodes/\u{10ffff}" && to > "a/nodes/x");
    }
}
