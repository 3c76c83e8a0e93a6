//! The client against engines made of a socket and a script: what they see and what callers get.
//!
//! Real engines are the end-to-end tests' business; here is what a real one does only on a bad day.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod events;
mod exchange;
mod failures;
mod gate;
mod hijack;
mod ping;
mod script;
mod streams;
mod tls;
