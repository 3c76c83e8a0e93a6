//! Stores of a pool: what every adapter must pass, and real servers to pass it against.

pub mod conformance;
