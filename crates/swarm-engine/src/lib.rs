//! The client of one stock Docker Engine: TCP, TLS, a unix socket or a tunnel; requests, pings,
//! events, hijacked streams.
//!
//! An adapter: it decides nothing. Health, caching, back-off and which engine gets what are the
//! pool's (`swarm-pool`). It rests on hyper's single-connection HTTP/1.1 client and keeps only few
//! idle connections itself, because a manager holds thousands of these clients.
//!
//! Invariants: every call but a caller's own stream has a deadline; no lock is held across an
//! await; dropping a future, a reply or a stream closes its connection; no text of an error holds a
//! header, a body or a key.

mod address;
mod client;
mod dial;
mod driven;
mod error;
mod events;
mod gate;
mod hijack;
mod idle;
mod link;
mod options;
mod ping;
mod reply;
mod request;
pub mod tls;
mod tunnel;
mod upload;
mod version;
mod wire;

pub use address::{AddressError, EngineAddress, PLAIN_PORT, TLS_PORT};
pub use client::EngineClient;
pub use error::EngineError;
pub use events::{EventLines, EventTime};
pub use gate::Gate;
pub use options::ClientOptions;
pub use reply::{read_body, refusal};
pub use request::Outgoing;
pub use tls::{TlsClient, TlsError, TlsFiles};
pub use tunnel::{Raw, Tunnels};
pub use version::EngineVersion;
