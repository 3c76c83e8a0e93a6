//! The key that locks a manager's disk (autolock): `SWMKEY-1-<43 letters of base 64>`, Docker's form
//! (swarmkit `manager/encryption`: 32 random bytes, standard alphabet, no padding), and what it seals.
//!
//! AES-256-GCM-SIV, because nonces are drawn by chance and a restored backup may repeat what was
//! sealed before.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use swarm_model::Secret;
use zeroize::Zeroizing;

/// With what the key's text begins.
const PREFIX: &str = "SWMKEY-1-";
/// The key's length in bytes.
const KEY: usize = 32;
/// The form of what is sealed, its first byte.
const FORMAT: u8 = 1;
/// What the seal is bound to: another thing sealed under this key does not open as a node's key.
const PLACE: &[u8] = b"swarm node key";

/// Why something was not unlocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnlockError {
    /// The text is no key.
    #[error(
        "invalid unlock key: one looks like SWMKEY-1-… and is printed by `docker swarm unlock-key`"
    )]
    Form,
    /// A right text, but not this lock's, or what was sealed is damaged.
    #[error("invalid key: it is not the one that locks this node, or the locked key is damaged")]
    Wrong,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

/// An unlock key.
#[derive(Clone)]
pub struct UnlockKey(Zeroizing<[u8; KEY]>);

impl UnlockKey {
    /// A new key.
    pub fn generate() -> Result<Self, UnlockError> {
        let mut bytes = Zeroizing::new([0; KEY]);
        aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| UnlockError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// Reads a key.
    pub fn parse(text: &str) -> Result<Self, UnlockError> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(UnlockError::Form)?;
        let bytes = STANDARD_NO_PAD.decode(text).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| UnlockError::Form)?;
        let bytes = bytes.as_slice().try_into().map_err(|_| UnlockError::Form)?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// As it is printed.
    pub fn to_text(&self) -> Secret {
        Secret::new(format!("{PREFIX}{}", STANDARD_NO_PAD.encode(*self.0)))
    }

    /// Another key for one more purpose, which says nothing of this one (HKDF with SHA-256).
    pub fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; KEY]>, UnlockError> {
        let pseudorandom = Salt::new(HKDF_SHA256, &[]).extract(&*self.0);
        let info = [purpose.as_bytes()];
        let stream = pseudorandom.expand(&info, HKDF_SHA256).map_err(|_| UnlockError::Form)?;
        let mut key = Zeroizing::new([0; KEY]);
        stream.fill(&mut *key).map_err(|_| UnlockError::Form)?;
        Ok(key)
    }

    fn cipher(&self) -> Result<LessSafeKey, UnlockError> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, &*self.0).map_err(|_| UnlockError::Form)?;
        Ok(LessSafeKey::new(key))
    }

    /// Seals a node's key.
    pub(crate) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, UnlockError> {
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| UnlockError::NoRandomness)?;
        let mut body = Vec::with_capacity(plain.len() + AES_256_GCM_SIV.tag_len());
        body.extend_from_slice(plain);
        let unique = Nonce::assume_unique_for_key(nonce);
        let sealing = self.cipher()?.seal_in_place_append_tag(unique, Aad::from(PLACE), &mut body);
        sealing.map_err(|_| UnlockError::Wrong)?;
        Ok([&[FORMAT], &nonce[..], &body].concat())
    }

    /// Opens what was sealed.
    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnlockError> {
        let (format, rest) = sealed.split_first().ok_or(UnlockError::Wrong)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(UnlockError::Wrong)?;
        if *format != FORMAT {
            return Err(UnlockError::Wrong);
        }
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.cipher()?.open_in_place(nonce, Aad::from(PLACE), &mut body);
        let length = opened.map_err(|_| UnlockError::Wrong)?.len();
        body.truncate(length);
        Ok(body)
    }
}

impl fmt::Debug for UnlockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnlockKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_a_round_trip_and_opens_only_its_own() {
        let key = UnlockKey::generate().unwrap();
        let text = key.to_text();
        assert_eq!(text.reveal().len(), PREFIX.len() + 43);
        let again = UnlockKey::parse(text.reveal()).unwrap();
        let sealed = key.seal(b"what is kept").unwrap();
        assert_eq!(**again.open(&sealed).unwrap(), *b"what is kept");
        let other = UnlockKey::generate().unwrap();
        assert_eq!(other.open(&sealed).unwrap_err(), UnlockError::Wrong);
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(key.open(&changed).unwrap_err(), UnlockError::Wrong, "byte {place}");
            assert_eq!(key.open(&sealed[..place]).unwrap_err(), UnlockError::Wrong);
        }
        assert_eq!(key.derive("one").unwrap(), again.derive("one").unwrap());
        assert_ne!(key.derive("one").unwrap(), key.derive("two").unwrap());
        assert_ne!(key.derive("one").unwrap(), other.derive("one").unwrap());
        assert!(!format!("{key:?}").contains(&text.reveal()[PREFIX.len()..]));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "SWMKEY-1-", "SWMKEY-1-abc", "SWMKEY-2-x", "SWMKEY-1-ü"] {
            assert_eq!(UnlockKey::parse(text).unwrap_err(), UnlockError::Form, "{text}");
        }
    }
}
