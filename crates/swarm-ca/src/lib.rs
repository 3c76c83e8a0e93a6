//! The identities of swarm mode: join tokens, the certificate authority and its rotation, what a
//! node's certificate says, when it is renewed, and TLS 1.3 between those who hold one.
//!
//! It leaves to others: who is a member (the store), which call needs which role (the servers), when
//! something is done (the loops; `now` and randomness are arguments wherever a decision hangs on
//! them), and closing connections that were open before a node was removed.
//!
//! Certificates and tokens have Docker's form, so that what a person knows of either holds here.

mod crossing;
pub mod disk;
pub mod external;
pub mod identity;
pub mod issue;
mod pair;
mod pem;
pub mod renewal;
pub mod request;
pub mod root;
pub mod roots;
pub mod rotation;
pub mod tls;
pub mod token;
pub mod unlock;

pub use disk::{Disk, DiskError, Stored};
pub use external::{ExternalCa, ExternalError};
pub use identity::{Identity, IdentityError, Role, Subject};
pub use issue::{Expiry, IssueError, Issuer};
pub use request::{NodeKey, RequestError};
pub use root::{RootCa, RootError};
pub use roots::{Digest, Roots, RootsError};
pub use rotation::{Authority, IssuerInfo, NodeTls, RotationError};
pub use swarm_model::Secret;
pub use token::{JoinToken, TokenError};
pub use unlock::UnlockKey;
