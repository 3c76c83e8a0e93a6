//! Who is at the other end of a connection: in the extensions of every request.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use tonic::{Request, Status};

/// The other end.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its certificate, found good in the handshake; `None` for one that showed none.
    pub certificate: Option<CertificateDer<'static>>,
    /// The certificate, and what is between it and a root.
    pub chain: Arc<[CertificateDer<'static>]>,
    /// Where it called from.
    pub address: SocketAddr,
}

impl Peer {
    pub(crate) fn new(chain: &[CertificateDer<'static>], address: SocketAddr) -> Self {
        Self { certificate: chain.first().cloned(), chain: chain.into(), address }
    }

    /// Who made this call.
    pub fn of<T>(request: &Request<T>) -> Result<&Self, Status> {
        let peer = request.extensions().get::<Self>();
        peer.ok_or_else(|| Status::internal("the call came over no connection of this server"))
    }
}
