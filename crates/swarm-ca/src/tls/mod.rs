//! TLS 1.3 between nodes.
//!
//! `Live` holds what changes while connections come and go (the roots, our own certificate); the
//! configurations that it gives look it up in each handshake, so that a renewal or a rotation needs
//! no new listener. Sessions are never resumed: a resumed one would skip the look at who comes, and
//! let a removed node in.

mod admission;
mod configs;
mod expect;
mod first;
mod live;
mod verify;

pub use admission::{Admission, Everybody, Removed};
pub use configs::{Clients, external};
pub use expect::{Expect, Refusal, refusal};
pub use first::first_contact;
pub use live::{Credentials, Live, TlsError};
pub(crate) use verify::verify_chain;
