//! Who may talk to whom: the pool's authority, its managers' certificates, join tokens.
//!
//! Every manager holds the authority (certificate and key, sealed on its disk), and so issues its
//! own certificate anew at every start; there is nothing to renew by hand. Managers show each other
//! their certificates. Everybody else shows a token's secret, and only to a server that has a
//! certificate of the authority whose digest the token carries.

mod authority;
mod tls;
mod token;

pub(crate) use authority::Authority;
pub(crate) use tls::{Identity, client, identity, peer_id};
pub use token::{Role, TokenError};
pub(crate) use token::{Token, new_secret};
