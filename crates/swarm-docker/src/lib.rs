//! The Docker Engine API's vocabulary: versions, queries, filters, wire types, error classes,
//! image references, stream framing.
//!
//! No I/O and no clock: whoever needs "now" passes it in. What an engine sends and this crate does
//! not know is kept and passed on.

pub mod error;
pub mod query;
pub mod version;

pub use error::{ApiError, ErrorClass};
pub use query::Query;
pub use version::ApiVersion;
