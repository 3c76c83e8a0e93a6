//! Registry credentials at rest: sealed with a key that only this pool's managers have, bound to
//! the intent they belong to.
//!
//! AES-256-GCM with random nonces (RFC 5116); a pool seals far fewer than the 2³² values that one
//! key allows. Invariant: no error says anything of key or content.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The least that a key file must hold, in bytes.
const LEAST_KEY: usize = 16;

/// Seals and opens.
pub struct PoolKey(RandomizedNonceKey);

impl fmt::Debug for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PoolKey(…)")
    }
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pool's key needs at least {LEAST_KEY} bytes, {0} were given; make one with \
         'openssl rand -base64 32'"
)]
pub struct ShortKey(usize);

/// Why sealed credentials cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored registry credentials were sealed with another pool key, or are damaged")]
pub struct SealError;

impl PoolKey {
    /// A key from the content of a key file; white space at its ends does not count.
    pub fn new(secret: &[u8]) -> Result<Self, ShortKey> {
        let secret = secret.trim_ascii();
        if secret.len() < LEAST_KEY {
            return Err(ShortKey(secret.len()));
        }
        let mut hash = Sha256::new();
        hash.update(b"swarm pool credentials v1\0");
        hash.update(secret);
        let key = Zeroizing::new(<[u8; 32]>::from(hash.finalize()));
        // It can only fail for a key of another length.
        RandomizedNonceKey::new(&AES_256_GCM, &*key).map(Self).map_err(|_| ShortKey(0))
    }

    /// Seals `text` for the intent `id`.
    pub fn seal(&self, id: &str, text: &str) -> Result<String, SealError> {
        let mut sealed = text.as_bytes().to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(id.as_bytes()), &mut sealed)
            .map_err(|_| SealError)?;
        let mut whole = nonce.as_ref().to_vec();
        whole.extend_from_slice(&sealed);
        Ok(STANDARD.encode(whole))
    }

    /// Opens what was sealed for the intent `id`.
    pub fn open(&self, id: &str, sealed: &str) -> Result<Zeroizing<String>, SealError> {
        let whole = STANDARD.decode(sealed).map_err(|_| SealError)?;
        let (nonce, body) = whole.split_at_checked(NONCE_LEN).ok_or(SealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let mut body = Zeroizing::new(body.to_vec());
        let open = self
            .0
            .open_in_place(nonce, Aad::from(id.as_bytes()), &mut body)
            .map_err(|_| SealError)?;
        let text = std::str::from_utf8(open).map_err(|_| SealError)?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_intent_open() {
        let key = PoolKey::new(b"0123456789abcdef\n").unwrap();
        let sealed = key.seal("i1", "secret").unwrap();
        assert!(!sealed.contains("secret"));
        assert_ne!(sealed, key.seal("i1", "secret").unwrap(), "no two look alike");
        let same = PoolKey::new(b" 0123456789abcdef").unwrap();
        assert_eq!(*same.open("i1", &sealed).unwrap(), "secret");
        assert_eq!(same.open("i2", &sealed), Err(SealError));
        let other = PoolKey::new(b"0123456789abcdeF").unwrap();
        assert_eq!(other.open("i1", &sealed), Err(SealError));
        for damaged in ["", "AAAA", "no base64!", &sealed[..20]] {
            assert_eq!(key.open("i1", damaged), Err(SealError));
        }
        let error = PoolKey::new(b"short").unwrap_err().to_string();
        assert!(error.contains("at least 16 bytes, 5 were given"), "{error}");
    }
}
