//! A node's key, and the request for a certificate of it.
//!
//! A request carries a key and the proof that its sender holds it. Nothing else in it counts: which
//! name goes with the key is decided by who issues.

use std::fmt;

use rcgen::{
    CertificateParams, DistinguishedName, PKCS_ECDSA_P256_SHA256, PublicKeyData as _,
    SubjectPublicKeyInfo,
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;
use zeroize::Zeroizing;

use crate::pair::Pair;
use crate::pem;

/// The label of a key.
pub(crate) const KEY: &str = "PRIVATE KEY";
/// A P-256 request is about 300 bytes.
const MOST: usize = 16 * 1024;

/// Why a request is not taken, or none can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No request in PEM.
    #[error("the certificate request cannot be read: {0}")]
    Unreadable(String),
    /// Whoever sent it does not hold the key, or it was changed.
    #[error("the certificate request is not signed by the key in it")]
    Signature,
    /// Another kind of key.
    #[error("the certificate request is for another key than ECDSA P-256, which nodes have")]
    Kind,
    /// The library refuses.
    #[error("no certificate request can be made: {0}")]
    Making(#[from] rcgen::Error),
}

/// A node's key (ECDSA P-256, PKCS #8).
#[derive(Clone, PartialEq, Eq)]
pub struct NodeKey(Zeroizing<Vec<u8>>);

impl NodeKey {
    /// A new key.
    pub fn generate() -> Result<Self, RequestError> {
        Ok(Self(Pair::generate()?.to_der()))
    }

    /// From its DER; checked.
    pub(crate) fn from_der(der: Zeroizing<Vec<u8>>) -> Result<Self, RequestError> {
        let key = Self(der);
        key.pair()?;
        Ok(key)
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.0
    }

    /// A request for a certificate of it, in PEM; without names, as they would not count.
    pub fn request(&self) -> Result<String, RequestError> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        let request = parameters.serialize_request(&self.pair()?)?;
        Ok(pem::write(pem::REQUEST, request.der()))
    }

    /// The public key, as certificates hold it (DER of SubjectPublicKeyInfo).
    pub fn public(&self) -> Result<Vec<u8>, RequestError> {
        Ok(self.pair()?.subject_public_key_info())
    }

    /// As rustls takes it.
    pub(crate) fn for_tls(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.to_vec()))
    }

    fn pair(&self) -> Result<Pair, RequestError> {
        Ok(Pair::from_der(&self.0)?)
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey")
    }
}

/// The key of a request in PEM, proven to be its sender's.
pub fn requested_key(text: &str) -> Result<SubjectPublicKeyInfo, RequestError> {
    if text.len() > MOST {
        return Err(RequestError::Unreadable(format!("it is longer than {MOST} bytes")));
    }
    let der = pem::read_one(pem::REQUEST, text).map_err(RequestError::Unreadable)?;
    let (rest, request) = X509CertificationRequest::from_der(&der)
        .map_err(|_| RequestError::Unreadable("it is no PKCS #10 request".to_owned()))?;
    if !rest.is_empty() {
        return Err(RequestError::Unreadable("something follows it".to_owned()));
    }
    let public = SubjectPublicKeyInfo::from_der(request.certification_request_info.subject_pki.raw)
        .map_err(|_| RequestError::Kind)?;
    if public.algorithm() != &PKCS_ECDSA_P256_SHA256 {
        return Err(RequestError::Kind);
    }
    request.verify_signature().map_err(|_| RequestError::Signature)?;
    Ok(public)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384};

    use super::*;

    #[test]
    fn a_request_proves_its_key() {
        let key = NodeKey::generate().unwrap();
        let text = key.request().unwrap();
        let public = requested_key(&text).unwrap();
        assert_eq!(public.subject_public_key_info(), key.public().unwrap());
        assert_eq!(format!("{key:?}"), "NodeKey");

        let mut der = pem::read_one(pem::REQUEST, &text).unwrap().to_vec();
        let last = der.len() - 1;
        der[last] ^= 1;
        assert_eq!(requested_key(&pem::write(pem::REQUEST, &der)), Err(RequestError::Signature));
        // Another's key under an own signature.
        let theirs = NodeKey::generate().unwrap().public().unwrap();
        let place = der.windows(theirs.len()).position(|part| part == key.public().unwrap());
        let place = place.unwrap();
        der[last] ^= 1;
        der[place..place + theirs.len()].copy_from_slice(&theirs);
        assert_eq!(requested_key(&pem::write(pem::REQUEST, &der)), Err(RequestError::Signature));
    }

    #[test]
    fn other_keys_and_texts_are_refused() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let request = CertificateParams::default().serialize_request(&key).unwrap();
        let text = pem::write(pem::REQUEST, request.der());
        assert_eq!(requested_key(&text), Err(RequestError::Kind));
        for text in ["", "nothing", &pem::write(pem::REQUEST, b"nothing"), &"x".repeat(MOST + 1)] {
            assert!(matches!(requested_key(text), Err(RequestError::Unreadable(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_a_request_never_panics(der in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(requested_key(&pem::write(pem::REQUEST, &der)).is_err());
        }
    }
}
