//! What can go wrong between a discovery URL and a set of engines. Each message names
//! the URL, file or line it is about and what was expected there.
//!
//! Errors are `Clone`: one failure is handed to every watcher and to the log.

use std::io;
use std::sync::Arc;

use crate::{EntryError, RangeError};

/// Why a discovery URL or its source gives no set of engines.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The URL's scheme is none that is known.
    #[error("discovery {url:?} has the unknown scheme {scheme:?}; known are {known}")]
    UnknownScheme {
        /// The URL as given.
        url: String,
        /// Its scheme.
        scheme: String,
        /// The schemes that are known, for the reader.
        known: String,
    },
    /// A scheme that classic Swarm has and this version does not build yet.
    #[error("discovery scheme {scheme}:// is not built yet in this version; built are {built}")]
    NotBuilt {
        /// The scheme.
        scheme: String,
        /// The schemes that work now, for the reader.
        built: String,
    },
    /// The URL has a known scheme and a rest that cannot be.
    #[error("discovery {url:?} is malformed: {reason}")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// A discovery option that no backend, or not this one, takes.
    #[error("unknown discovery option {key:?}; {known}")]
    UnknownOption {
        /// The option's key.
        key: String,
        /// Which options the backend takes, for the reader.
        known: String,
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
    /// A discovery file names too many engines in all its lines together.
    #[error("{file}: {source}")]
    File {
        /// The file's path.
        file: String,
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
}
