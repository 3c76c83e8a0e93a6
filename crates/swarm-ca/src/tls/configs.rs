//! The configurations of servers and clients. TLS 1.3 alone, no resumption, the provider given
//! explicitly. ALPN is for the caller to set on what it gets.

use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig};

use crate::roots::Roots;
use crate::tls::admission::Admission;
use crate::tls::expect::Expect;
use crate::tls::live::{Live, TlsError};
use crate::tls::verify::{Nodes, Servers, provider};

/// Whether a client shows a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Every client.
    Required,
    /// One who joins has none yet; one who shows a bad one is refused all the same. Calls that need
    /// an identity look for it themselves.
    Optional,
}

impl Live {
    /// A server's side: shows our certificate, and expects this of clients.
    pub fn server(
        self: &Arc<Self>,
        clients: Clients,
        expect: Expect,
    ) -> Result<ServerConfig, TlsError> {
        self.server_for(Nodes {
            live: Arc::clone(self),
            expect,
            mandatory: clients == Clients::Required,
            expired: false,
        })
    }

    /// A server's side for the renewal call alone: a node's certificate may have ended, if all else
    /// is right and the node proves its key. Whether it is still a member is for `members` to say:
    /// that a removed node is refused elsewhere ends with its certificate.
    pub fn renewal_server(
        self: &Arc<Self>,
        expect: Expect,
        members: Arc<dyn Admission>,
    ) -> Result<ServerConfig, TlsError> {
        self.server_for(Nodes {
            live: Arc::clone(self),
            expect: expect.and(members),
            mandatory: true,
            expired: true,
        })
    }

    fn server_for(self: &Arc<Self>, nodes: Nodes) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(nodes))
            .with_cert_resolver(Arc::clone(self) as _);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// A client's side: shows our certificate where we have one, and expects this of the server.
    pub fn client(self: &Arc<Self>, expect: Expect) -> Result<ClientConfig, TlsError> {
        let verifier = Servers { live: Arc::clone(self), expect };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::clone(self) as _);
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(config)
    }
}

/// The client's side towards an external authority: an ordinary HTTPS server with a certificate for
/// its name under `roots`, to whom we show our own. Signing services are not ours to update, so
/// TLS 1.2 is let pass here, as Docker does.
pub fn external(live: &Arc<Live>, roots: &Roots) -> Result<ClientConfig, TlsError> {
    let store = Arc::new(roots.store()?);
    let verifier = WebPkiServerVerifier::builder_with_provider(store, provider()).build();
    let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_webpki_verifier(verifier)
        .with_client_cert_resolver(Arc::clone(live) as _))
}
