//! The token service: `swarm discovery`, a place where a pool's engines register under a token, for
//! those who run no key-value store. It speaks the API of the public service that classic Swarm
//! used (`POST /v1/clusters`, `GET` and `POST /v1/clusters/TOKEN`), and adds to it what was missing:
//! taking a registration back, waiting for a change, and an owner who sees and removes tokens.
//!
//! It leaves to the binary which address it listens on and where TLS certificates come from, and to
//! its clients what becomes of an engine that is registered no longer.
//!
//! Invariants:
//! - what was answered with success is on disk, and a crash loses none of it;
//! - a renewal writes nothing: registrations are kept with their length, not their end, and after a
//!   start each runs its whole length again, so that a restart empties no pool;
//! - a request is bounded in size, a token in engines, the service in tokens, engines, connections
//!   and waiters; whoever goes beyond is told so in words;
//! - no token, address or key is logged.
//!
//! Reading order: `route` (what can be asked), `book` (what is known), `disk` and `writer` (what is
//! kept), `service`, `answer`, `server`.

mod address;
mod answer;
mod book;
mod clock;
mod creations;
mod disk;
mod owner;
mod refusal;
mod route;
mod rows;
mod server;
mod service;
mod token;
mod writer;

pub use disk::{DiskError, FILE};
pub use owner::{KEY_FILE, OwnerKey, OwnerKeyError};
pub use refusal::Refusal;
pub use route::{Call, NoCall, Poll, read as read_call};
pub use server::serve;
pub use service::{Service, ServiceConfig};
pub use token::Token;

/// What the service takes at most. The defaults hold in some 100 MiB of memory.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Tokens.
    pub clusters: usize,
    /// Engines of one token: as many as one discovery may name.
    pub nodes_per_cluster: usize,
    /// Engines of all tokens.
    pub nodes: usize,
    /// Connections; above three quarters of them none is kept after its answer.
    pub connections: usize,
    /// Requests that wait for a change.
    pub waiters: usize,
    /// Tokens that one source may make at once, and one more every six seconds.
    pub creations: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clusters: 10_000,
            nodes_per_cluster: 65_536,
            nodes: 262_144,
            connections: 8_192,
            waiters: 4_096,
            creations: 20,
        }
    }
}
