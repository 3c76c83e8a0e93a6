//! A private key that signs. Its bytes are wiped when it goes; the copy inside the cryptographic
//! library wipes itself.

use rcgen::{
    Error, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use swarm_model::Secret;
use zeroize::{Zeroize as _, Zeroizing};

pub(crate) struct Pair(KeyPair);

impl Pair {
    /// A new key, ECDSA P-256.
    pub fn generate() -> Result<Self, Error> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map(Self)
    }

    /// A key of any kind, in PEM.
    pub fn from_pem(text: &Secret) -> Result<Self, Error> {
        KeyPair::from_pem(text.reveal()).map(Self)
    }

    /// An ECDSA P-256 key, in PKCS #8.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let der = PrivatePkcs8KeyDer::from(der);
        KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256).map(Self)
    }

    /// In PEM.
    pub fn to_pem(&self) -> Secret {
        Secret::new(self.0.serialize_pem())
    }

    /// In PKCS #8.
    pub fn to_der(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.serialize_der())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pair")
    }
}

impl PublicKeyData for Pair {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl SigningKey for Pair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.sign(message)
    }
}
