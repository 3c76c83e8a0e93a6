//! The first contact: a node that joins knows the root's digest from its token, and nothing else.
//!
//! It connects without knowing to whom, fetches the roots, compares them with the token
//! (`Roots::pinned`), and hangs up. Nothing else may go through such a connection: whoever answers
//! has proven only that he holds some key. The token's secret goes through the next one, which
//! verifies against the pinned root (`Expect::manager_of_root`).

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature;
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::tls::live::TlsError;
use crate::tls::verify::only_tls13;
use crate::tls::verify::provider;

/// The client's side of fetching roots, to be compared with a join token.
pub fn first_contact() -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    only_tls13!();
}
