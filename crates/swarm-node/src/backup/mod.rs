//! A swarm in one file: what a manager knows (services, tasks, nodes, secrets, the certificate
//! authority with its key, join tokens, the unlock key) and who it is, sealed with a passphrase
//! (`swarm backup`); and a manager's folder made of that again (`swarm restore`), for a swarm that has
//! lost all its managers, or that is to go on elsewhere.
//!
//! Reading order: `envelope` (the file), `manifest` (what is beside the store in it), `make`, `restore`.
//!
//! Invariants: nothing of a swarm is in the file in plain but its id, the node's and the moment; what
//! opens is what was sealed, whole and in its order; a folder is a member's only when all is in it.

mod envelope;
mod make;
mod manifest;
mod restore;

pub use envelope::{EnvelopeError, Header, Opener};
pub(crate) use manifest::Manifest;
pub use restore::{RestoreError, Restoring, restore};
