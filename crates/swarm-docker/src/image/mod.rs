//! Images on the wire.

pub mod list;

pub use list::{ImageEntry, united};
