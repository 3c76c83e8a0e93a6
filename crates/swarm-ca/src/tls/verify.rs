//! rustls's questions about certificates, answered from the live roots and what is expected.
//!
//! The chain is checked by rustls's own path building (webpki); ours is only who may come.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::identity::Identity;
use crate::roots::Roots;
use crate::tls::expect::{Expect, Refusal};
use crate::tls::live::Live;

/// Never seen, because nothing else is offered; a verifier has to answer all the same.
pub(crate) const ONLY_13: &str = "nodes speak TLS 1.3 alone";

/// The cryptography of all connections between nodes.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// What a handshake may be signed with.
pub(crate) fn algorithms() -> WebPkiSupportedAlgorithms {
    aws_lc_rs::default_provider().signature_verification_algorithms
}

/// What rustls asks of every verifier, of servers and of clients, about the handshake itself.
macro_rules! only_tls13 {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General($crate::tls::verify::ONLY_13.to_owned()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signed, &$crate::tls::verify::algorithms())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            $crate::tls::verify::algorithms().supported_schemes()
        }
    };
}
pub(crate) use only_tls13;

fn at(now: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs())
}

/// Is this a chain to one of these roots, for servers and for clients, as every node's is?
pub(crate) fn verify_chain(
    own: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    roots: &Roots,
    now: SystemTime,
) -> Result<(), Error> {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(since);
    let store = Arc::new(roots.store()?);
    server_chain(own, between, &store, now)?;
    client_chain(own, between, &store, now)
}

fn server_chain(
    own: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: UnixTime,
) -> Result<(), Error> {
    let parsed = ParsedCertificate::try_from(own)?;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, between, now, algorithms().all)
}

fn client_chain(
    own: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    roots: &Arc<RootCertStore>,
    now: UnixTime,
) -> Result<(), Error> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider()).build();
    let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
    verifier.verify_client_cert(own, between, now).map(drop)
}

/// Verifies servers.
#[derive(Debug)]
pub(crate) struct Servers {
    pub live: Arc<Live>,
    pub expect: Expect,
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        server_chain(own, between, &self.live.store(), now)?;
        self.expect.check(own, at(now))?;
        Ok(ServerCertVerified::assertion())
    }

    only_tls13!();
}

/// Verifies clients.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub live: Arc<Live>,
    pub expect: Expect,
    /// Must a client show a certificate?
    pub mandatory: bool,
    /// May it have ended?
    pub expired: bool,
}

impl ClientCertVerifier for Nodes {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A node has one certificate; there is nothing to choose.
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let judged = if self.expired { within_life(own, now)? } else { now };
        client_chain(own, between, &self.live.store(), judged)?;
        self.expect.check(own, at(now))?;
        Ok(ClientCertVerified::assertion())
    }

    only_tls13!();
}

/// The moment to judge an ended certificate at: its last one. One that is not valid yet stays so.
fn within_life(own: &CertificateDer<'_>, now: UnixTime) -> Result<UnixTime, Error> {
    let identity = Identity::of(own).map_err(Refusal::from)?;
    let end = identity.not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(UnixTime::since_unix_epoch(end.min(Duration::from_secs(now.as_secs()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Role, Subject};
    use crate::issue::{Expiry, Issuer};
    use crate::pem;
    use crate::request::NodeKey;
    use crate::root::RootCa;
    use crate::rotation::IssuerInfo;

    #[test]
    fn a_certificate_with_any_byte_changed_is_refused_and_breaks_nothing() {
        let now = SystemTime::now();
        let root = RootCa::create(now).unwrap();
        let roots = root.roots().unwrap();
        let ids = ("nhtb4v64nex8r51c01gqdadvi", "tehyu2bphyg3xa3d4f5q32a16");
        let subject = Subject::new(ids.0, Role::Worker, ids.1).unwrap();
        let request = NodeKey::generate().unwrap().request().unwrap();
        let issuer = Issuer::new(&root).unwrap();
        let chain = issuer.issue(&request, &subject, Expiry::default(), now).unwrap();
        let own = pem::read_certificates(&chain).unwrap().remove(0);
        verify_chain(&own, &[], &roots, now).unwrap();
        for place in 0..own.len() {
            for bit in [0x01, 0x80] {
                let mut changed = own.to_vec();
                changed[place] ^= bit;
                let changed = CertificateDer::from(changed);
                assert!(verify_chain(&changed, &[], &roots, now).is_err(), "byte {place}");
                // Read before it is verified, too: whatever it says, no panic.
                let _ = (Identity::of(&changed), IssuerInfo::of(&changed));
            }
            let cut = CertificateDer::from(own[..place].to_vec());
            assert!(verify_chain(&cut, &[], &roots, now).is_err());
            assert!(Identity::of(&cut).is_err());
        }
    }
}
