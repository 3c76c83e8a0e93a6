//! What can go wrong with a store. Each message names the store and says what was expected of it.
//!
//! Errors are `Clone`: one failure is handed to every watcher and to the log.

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It gave no answer in time, or the connection failed; trying again may help.
    #[error("store {store} does not answer: {reason}")]
    Unreachable {
        /// Which.
        store: String,
        /// How it failed.
        reason: String,
    },
    /// It answered and refused: wrong credentials, read-only, out of space. Trying again helps only
    /// after a person acted.
    #[error("store {store} refused: {reason}")]
    Refused {
        /// Which.
        store: String,
        /// In its own words, and what to do.
        reason: String,
    },
    /// It takes no writes at the moment and says so before it begins one: certainly nothing was
    /// written. Trying again helps as soon as it takes them, which it finds out by itself.
    #[error("store {store} takes no writes: {reason}; nothing was changed")]
    Unwritable {
        /// Which.
        store: String,
        /// What hinders it.
        reason: String,
    },
    /// It was asked to write and did not say whether it did: it may have, or may yet.
    #[error(
        "store {store} did not say whether it wrote: {reason}. It may still be applied: look before \
         you try again"
    )]
    Unknown {
        /// Which.
        store: String,
        /// What came between.
        reason: String,
    },
    /// It answered with what is no answer of such a store.
    #[error("{store} does not answer as {} {kind} store does: {reason}", article(kind))]
    Garbage {
        /// Which.
        store: String,
        /// What was expected: Consul, etcd, …
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The key has another value than the writer believed.
    #[error("{key} was changed by somebody else")]
    Conflict {
        /// Which.
        key: String,
    },
    /// The guard does not hold: another leader has taken over.
    #[error("another manager has taken over ({key} was changed); nothing was written")]
    Fenced {
        /// The guard's key.
        key: String,
    },
    /// This manager does not lead, and so writes nothing.
    #[error("not written: {reason}")]
    NotPrimary {
        /// Who does, in words.
        reason: String,
    },
    /// The lease is over.
    #[error("the lease {id} is over")]
    LeaseLost {
        /// Which.
        id: String,
    },
    /// The value is larger than the store takes.
    #[error("{key} would be {size} bytes; the store takes at most {limit}")]
    TooLarge {
        /// The key.
        key: String,
        /// The value's size.
        size: usize,
        /// The store's limit.
        limit: usize,
    },
    /// An option or file that the store cannot be opened with.
    #[error("{option}: {reason}")]
    Option {
        /// Which.
        option: String,
        /// What is wrong, and what was expected.
        reason: String,
    },
}

impl StoreError {
    /// Trying the same again may help without anybody doing anything.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unwritable { .. } | Self::Unknown { .. })
    }
}

fn article(kind: &str) -> &'static str {
    if kind.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) { "an" } else { "a" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_article() {
        for (kind, words) in [("etcd", "as an etcd store"), ("Consul", "as a Consul store")] {
            let (store, reason) = ("s".to_owned(), "x".to_owned());
            let text = StoreError::Garbage { store, kind, reason }.to_string();
            assert!(text.contains(words), "{text}");
        }
    }
}
