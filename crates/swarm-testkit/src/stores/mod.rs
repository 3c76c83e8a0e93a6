//! Stores of a pool: what every adapter must pass, and real servers to pass it against.

pub mod conformance;
mod server;

pub use server::{Server, free_port};
