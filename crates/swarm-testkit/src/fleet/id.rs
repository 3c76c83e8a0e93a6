//! 256-bit object ids kept as bytes: half the memory of their hex text.

use std::fmt;

use sha2::{Digest, Sha256};

/// A container's, image's or network's id; prints as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; 32]);

impl Id {
    /// The id that `seed` always gives.
    pub fn of(seed: &str) -> Self {
        Self(Sha256::digest(seed.as_bytes()).into())
    }

    /// A fresh random id.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses exactly 64 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Whether the hex text begins with `prefix` (lower case).
    pub fn has_prefix(&self, prefix: &str) -> bool {
        prefix.len() <= 64
            && prefix.bytes().enumerate().all(|(index, digit)| {
                let byte = self.0[index / 2];
                let nibble = if index % 2 == 0 { byte >> 4 } else { byte & 15 };
                digit == b"0123456789abcdef"[usize::from(nibble)]
            })
    }

    /// The first twelve hex digits, as the CLI shows.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(12);
        text
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = [0_u8; 64];
        for (index, byte) in self.0.iter().enumerate() {
            hex[index * 2] = b"0123456789abcdef"[usize::from(byte >> 4)];
            hex[index * 2 + 1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&hex).unwrap_or_default())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
