//! Which engines belong to a pool: the trait every discovery backend implements, the
//! backends that stand, and the parser from a discovery URL to one of them.
//!
//! It leaves connecting to the engines, and what becomes of one that is named no
//! longer, to swarm-pool.

mod backend;
#[cfg(feature = "conformance")]
pub mod conformance;
mod entry;
mod error;
mod file;
mod kv;
mod list;
mod range;
mod token;
mod union;
mod url;

pub use backend::{DiscoveryBackend, EntryStream, Registration, Update};
pub use entry::{Entry, EntryError};
pub use error::{DiscoveryError, ListError};
pub use kv::Kv;
pub use range::{MAX_ENTRIES, Pattern, RangeError};
pub use token::{Site, TokenOptions, TokenRow, TokenService};
pub use union::Union;
pub use url::{BUILT, Discovery};

use std::collections::BTreeMap;

/// `--discovery-opt key=value` pairs, and the discovery ones of `--cluster-opt`.
pub type DiscoveryOptions = BTreeMap<String, String>;
