//! The pool's certificate authority: one key (ECDSA P-256) and its certificate, made by the first
//! manager and handed to every other one that joins with a manager token.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::kinds::Id;

/// The name every manager's certificate carries, whatever its address is; managers are known by
/// their certificates, not by where they are.
pub(crate) const MANAGER: &str = "manager.pool.internal";

/// How long the authority lasts. Its end is the end of every token and every certificate.
const AUTHORITY: Duration = Duration::from_hours(24 * 365 * 30);
/// How long a manager's certificate lasts; a running manager replaces its own well before
/// (`duties`).
const CERTIFICATE: Duration = Duration::from_hours(24 * 90);
/// Clocks may differ by this much.
const SKEW: Duration = Duration::from_hours(24);

/// The authority.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Authority {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// A certificate with its key.
pub(crate) struct Issued {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Authority {
    /// Makes a new one.
    pub fn new() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = own_parameters(SystemTime::now()).self_signed(&key)?;
        Ok(Self {
            certificate: certificate.der().to_vec(),
            key: Zeroizing::new(key.serialize_der()),
        })
    }

    /// What stands where a pool's would: the managers of a swarm have theirs elsewhere.
    pub fn none() -> Self {
        Self { certificate: Vec::new(), key: Zeroizing::default() }
    }

    /// Whether it is none.
    pub fn is_none(&self) -> bool {
        self.certificate.is_empty()
    }

    /// Its certificate.
    pub fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from(self.certificate.clone())
    }

    /// What tokens carry of it.
    pub fn digest(&self) -> [u8; 32] {
        digest_of(&self.certificate)
    }

    /// A certificate for the manager `id`, from now on.
    pub fn issue(&self, id: Id) -> Result<Issued, rcgen::Error> {
        let own_key = PrivatePkcs8KeyDer::from(self.key.to_vec());
        let own_key = KeyPair::from_pkcs8_der_and_sign_algo(&own_key, &PKCS_ECDSA_P256_SHA256)?;
        let now = SystemTime::now();
        let issuer = Issuer::new(own_parameters(now), own_key);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let names = vec![MANAGER.to_owned(), format!("{id:016x}.{MANAGER}")];
        let mut parameters = CertificateParams::new(names)?;
        parameters.distinguished_name = name(&format!("{id:016x}"), "manager");
        parameters.not_before = (now - SKEW).into();
        parameters.not_after = (now + CERTIFICATE).into();
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let issued = parameters.signed_by(&key, &issuer)?;
        Ok(Issued {
            // The authority's own certificate goes along: a joiner compares its digest.
            chain: vec![issued.der().clone(), self.certificate()],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        })
    }
}

/// The digest of a certificate.
pub(crate) fn digest_of(certificate: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, certificate).as_ref());
    bytes
}

fn own_parameters(now: SystemTime) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = name("swarm pool", "authority");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.not_before = (now - SKEW).into();
    parameters.not_after = (now + AUTHORITY).into();
    parameters
}

fn name(common: &str, unit: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name.push(DnType::OrganizationalUnitName, unit);
    name
}
