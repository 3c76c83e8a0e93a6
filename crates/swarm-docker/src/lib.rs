//! The Docker Engine API's vocabulary: versions, queries, filters, wire types, error classes,
//! image references, stream framing.
//!
//! No I/O and no clock: whoever needs "now" passes it in. What an engine sends and this crate does
//! not know is kept and passed on.

pub mod auth;
pub mod compact;
pub mod container;
pub mod error;
pub mod event;
pub mod filters;
pub mod image;
pub mod info;
pub mod json;
pub mod jsonmessage;
pub mod names;
pub mod network;
pub mod node;
pub mod query;
pub mod reference;
pub mod stdcopy;
pub mod time;
pub mod units;
pub mod version;
pub mod volume;

pub use error::{ApiError, ErrorClass, OUT_OF_SEQUENCE};
pub use filters::Filters;
pub use node::NodeJson;
pub use query::Query;
pub use reference::Reference;
pub use version::ApiVersion;
