//! TLS 1.3 between managers, and from nodes to managers.
//!
//! A server has to show a manager's certificate of the authority with the right digest; at which
//! address does not matter. A client may show one; who shows none is asked for a token's secret,
//! which is sent through the connection and so only to a server that was verified.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::authority::{Authority, MANAGER, digest_of};
use crate::kinds::Id;

/// What a manager needs to be talked to and to talk.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub server: Arc<ServerConfig>,
    pub client: Arc<ClientConfig>,
}

/// An identity for the manager `id`, with a new certificate.
pub(crate) fn identity(authority: &Authority, id: Id) -> Result<Identity, Error> {
    Ok(Identity {
        server: server(authority, id)?,
        client: client(authority.digest(), Some((authority, id)))?,
    })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::General(error.to_string())
}

/// The server's side.
fn server(authority: &Authority, id: Id) -> Result<Arc<ServerConfig>, Error> {
    let issued = authority.issue(id).map_err(other)?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate())?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build()
        .map_err(other)?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(issued.chain, issued.key)?;
    Ok(Arc::new(config))
}

/// The client's side, with or without a manager's certificate.
pub(crate) fn client(
    digest: [u8; 32],
    manager: Option<(&Authority, Id)>,
) -> Result<Arc<ClientConfig>, Error> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let verifier = Pinned { digest, provider: Arc::clone(&provider), algorithms };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(Arc::new(match manager {
        None => builder.with_no_client_auth(),
        Some((authority, id)) => {
            let issued = authority.issue(id).map_err(other)?;
            builder.with_client_auth_cert(issued.chain, issued.key)?
        }
    }))
}

/// Accepts managers of the one authority with this digest.
#[derive(Debug)]
struct Pinned {
    digest: [u8; 32],
    provider: Arc<CryptoProvider>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates.iter().find(|shown| digest_of(shown) == self.digest);
        let Some(authority) = authority else {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let provider = Arc::clone(&self.provider);
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let inner = inner.build().map_err(other)?;
        let name = ServerName::try_from(MANAGER).map_err(other)?;
        inner.verify_server_cert(end_entity, &[], &name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Which manager a certificate is of: it was verified, so the authority issued it; here is only
/// read what for.
pub(crate) fn peer_id(certificate: &CertificateDer<'_>) -> Option<Id> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let mut units = parsed.subject().iter_organizational_unit();
    if units.next()?.as_str().ok()? != "manager" {
        return None;
    }
    let names = parsed.subject_alternative_name().ok()??;
    let id = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => {
            let id = name.strip_suffix(MANAGER)?.strip_suffix('.')?;
            Id::from_str_radix(id, 16).ok()
        }
        _ => None,
    };
    names.value.general_names.iter().find_map(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_names_its_manager() {
        let authority = Authority::new().unwrap();
        let issued = authority.issue(0xfeed).unwrap();
        assert_eq!(peer_id(&issued.chain[0]), Some(0xfeed));
        assert_eq!(peer_id(&authority.certificate()), None);
        assert!(identity(&authority, 1).is_ok());
    }
}
