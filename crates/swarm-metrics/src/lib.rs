//! Metrics for Prometheus and for what reads its formats: served on an address of their own
//! ([`MetricsServer`]), in the Prometheus text format or as OpenMetrics, as the reader asks.
//!
//! What there is to tell is its owner's: each crate that has something to count keeps it itself and
//! registers it with the registry that the binary hands down. Here is only what has no other owner:
//! the process ([`process`]) and calls to the pool's store ([`Measured`]).
//!
//! [`statsd`] sends the same by UDP to those who do not ask.
//!
//! Invariants: the registry does not change once it is served; reading it changes nothing, costs
//! one thread at a time whoever asks how often, and never waits for an engine or a store.

mod format;
pub mod process;
mod server;
pub mod statsd;
mod store;

pub use server::{BindError, MetricsServer};
pub use store::{Measured, StoreMetrics};
