//! What can go wrong between a discovery URL and a set of engines. Each message names
//! the URL, file or line it is about and what was expected there.
//!
//! Errors are `Clone`: one failure is handed to every watcher and to the log.

use std::io;
use std::sync::Arc;

use crate::range::MAX_ENTRIES;
use crate::url::BUILT;
use crate::{EntryError, RangeError};

/// Why a discovery URL or its source gives no set of engines.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The URL's scheme is none that is known. The URL itself is kept out: it may hold a
    /// password.
    #[error("discovery has the unknown scheme {scheme:?}; known are {BUILT}")]
    UnknownScheme {
        /// The scheme.
        scheme: String,
    },
    /// The URL has a known scheme and a rest that cannot be.
    #[error("discovery {url:?} is malformed: {reason}")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// A discovery option that the backend does not take.
    #[error(
        "unknown discovery option {key:?}: nodes:// and file:// take none (the kv. options are \
         for consul, etcd and zookeeper)"
    )]
    UnknownOption {
        /// The option's key.
        key: String,
    },
    /// An address or range in the URL is malformed.
    #[error("discovery {url:?}: {source}")]
    List {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        source: ListError,
    },
    /// A line of a discovery file is malformed.
    #[error("{file}:{line}: {source}")]
    Line {
        /// The file's path.
        file: String,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        source: ListError,
    },
    /// A discovery file cannot be read.
    #[error("cannot read discovery file {file}: {source}")]
    Read {
        /// The file's path.
        file: String,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// The store that holds the set failed.
    #[error(transparent)]
    Store(#[from] swarm_kv::StoreError),
    /// A store's URL cannot be.
    #[error("discovery {0}")]
    StoreUrl(#[from] swarm_kv::UrlError),
    /// An address that no other machine can use.
    #[error("{entry} cannot be registered: other machines cannot reach it; expected HOST:PORT")]
    NotRegistrable {
        /// The address.
        entry: String,
    },
    /// An option or file that a token service cannot be reached with.
    #[error("--discovery-opt {option}: {reason}")]
    TokenOption {
        /// The option, with its file.
        option: String,
        /// What is wrong.
        reason: String,
    },
    /// A token service gave no answer.
    #[error("token service {service} does not answer: {reason}")]
    TokenSilent {
        /// Its address.
        service: String,
        /// How it failed.
        reason: String,
    },
    /// A token service refused what it was asked.
    #[error("token service {service} refused ({status}): {reason}")]
    TokenRefused {
        /// Its address.
        service: String,
        /// The HTTP status.
        status: u16,
        /// In its own words.
        reason: String,
    },
    /// Something answered that is no token service.
    #[error("{service} does not answer as a token service does: {reason}")]
    TokenGarbage {
        /// Its address.
        service: String,
        /// What is wrong.
        reason: String,
    },
    /// The set is fixed from outside: nothing can be registered or taken back.
    #[error("{url} is a fixed set of engines without registration; {hint}")]
    NoRegistration {
        /// The backend's URL.
        url: String,
        /// What to do instead.
        hint: &'static str,
    },
}

/// Why an address with ranges gives no entries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// A range is malformed or too wide.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// What a range expands to, or what was given without one, is no address.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// All addresses together are more than a pool may have.
    #[error("there are more than {MAX_ENTRIES} addresses in all")]
    TooMany,
    /// Bytes that are no text.
    #[error("it is not UTF-8 text")]
    NotText,
}
