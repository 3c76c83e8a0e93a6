//! Encryption at rest: every record is sealed under one key, kept beside the records ([`crate::key`]).
//!
//! A record is sealed together with its place (table and key), so that one that was changed, moved
//! or taken from elsewhere does not open: the seal is the checksum too. AES-256-GCM-SIV, because
//! nonces are drawn by chance and there is no counter that could be set back with a backup.

use std::io;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// The form of a sealed record, its first byte.
const FORMAT: u8 = 1;

/// The key's length in bytes.
const KEY: usize = 32;

/// Why a record did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was changed, or sealed under another key")]
pub(crate) struct Broken;

/// Seals and opens records.
pub(crate) struct Seal(LessSafeKey);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// Under this key.
    pub fn new(key: &[u8]) -> io::Result<Self> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, key);
        let key = key.map_err(|_| io::Error::other(format!("a key has {KEY} bytes")))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals `plain` for `place`.
    pub fn seal(&self, place: &[u8], plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| io::Error::other("no randomness"))?;
        let overhead = 1 + NONCE_LEN + AES_256_GCM_SIV.tag_len();
        let mut sealed = Vec::with_capacity(plain.len() + overhead);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealing = self.0.seal_in_place_append_tag(nonce, Aad::from(place), &mut body);
        sealing.map_err(|_| io::Error::other("a record cannot be sealed"))?;
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what was sealed for `place`.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Broken> {
        let (format, rest) = sealed.split_first().ok_or(Broken)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Broken)?;
        if *format != FORMAT {
            return Err(Broken);
        }
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut body = body.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(place), &mut body);
        let length = opened.map_err(|_| Broken)?.len();
        body.truncate(length);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_opens_only_unchanged_in_its_place_and_under_its_key() {
        let seal = Seal::new(&[1; KEY]).unwrap();
        let sealed = seal.seal(b"log/1", b"what is kept").unwrap();
        assert!(!sealed.windows(4).any(|part| part == b"what"), "nothing can be read from disk");
        let again = Seal::new(&[1; KEY]).unwrap();
        assert_eq!(again.open(b"log/1", &sealed).unwrap(), b"what is kept");
        assert_eq!(again.open(b"log/2", &sealed), Err(Broken));
        let other = Seal::new(&[2; KEY]).unwrap();
        assert_eq!(other.open(b"log/1", &sealed), Err(Broken));
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(seal.open(b"log/1", &changed), Err(Broken), "byte {place}");
            assert_eq!(seal.open(b"log/1", &sealed[..place]), Err(Broken));
        }
    }
}
