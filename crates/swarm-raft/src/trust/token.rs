//! Join tokens: `SWMPOOL-1-<digest of the authority's certificate>-<secret>`.
//!
//! The digest lets the joiner know the pool before it says anything; the secret lets the pool know
//! the joiner's role. Both are written in base 36, at full length.

use std::fmt;

use serde::{Deserialize, Serialize};
use swarm_kv::Secret;

/// With what a token begins.
const PREFIX: &str = "SWMPOOL-1-";
/// 32 bytes in base 36.
const DIGEST_LETTERS: usize = 50;
/// 16 bytes in base 36.
const SECRET_LETTERS: usize = 25;

/// What a token entitles to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// To become a manager, and to read and write everything.
    Manager,
    /// To register engines, and to list them.
    Node,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manager => "manager",
            Self::Node => "node",
        })
    }
}

/// Why a text is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no join token: {0}; one looks like SWMPOOL-1-… and is printed by a manager")]
pub struct TokenError(&'static str);

/// A token, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// The authority's.
    pub digest: [u8; 32],
    /// Proves the role.
    pub secret: Secret,
}

impl Token {
    /// Reads a token. Errors never show it.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let rest = text.trim().strip_prefix(PREFIX);
        let rest = rest.ok_or(TokenError("it begins in another way"))?;
        let (digest, secret) = rest.split_once('-').ok_or(TokenError("it lacks its last part"))?;
        let digest = read(digest).ok_or(TokenError("its digest is mistyped or cut off"))?;
        let is_letter = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        if secret.len() != SECRET_LETTERS || !secret.bytes().all(is_letter) {
            return Err(TokenError("its last part is mistyped or cut off"));
        }
        Ok(Self { digest, secret: Secret::new(secret) })
    }

    /// As it is printed.
    pub fn to_text(&self) -> Secret {
        let digest = write(&self.digest, DIGEST_LETTERS);
        Secret::new(format!("{PREFIX}{digest}-{}", self.secret.reveal()))
    }
}

/// A new secret.
pub(crate) fn new_secret() -> Result<Secret, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(Secret::new(write(&bytes, SECRET_LETTERS)))
}

/// Compares secrets in a time that tells nothing about them.
pub(crate) fn same(one: &str, other: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

/// Base 36 of a number in bytes, highest first, filled up with zeros.
fn write(bytes: &[u8], letters: usize) -> String {
    let mut number = bytes.to_vec();
    let mut text = Vec::with_capacity(letters);
    for _ in 0..letters {
        let mut rest = 0_u32;
        for byte in &mut number {
            let value = rest << 8 | u32::from(*byte);
            // A quotient by 36 of what is below 36 * 256 is one byte.
            *byte = u8::try_from(value / 36).unwrap_or(u8::MAX);
            rest = value % 36;
        }
        text.push(char::from_digit(rest, 36).unwrap_or('0'));
    }
    text.into_iter().rev().collect()
}

fn read(text: &str) -> Option<[u8; 32]> {
    if text.len() != DIGEST_LETTERS {
        return None;
    }
    let mut number = [0_u8; 32];
    for letter in text.chars() {
        let mut carry = letter.to_digit(36).filter(|_| !letter.is_ascii_uppercase())?;
        for byte in number.iter_mut().rev() {
            let value = u32::from(*byte) * 36 + carry;
            *byte = (value & 0xff) as u8;
            carry = value >> 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_a_round_trip_and_is_never_shown() {
        for digest in [[0; 32], [255; 32], *b"0123456789abcdefghijklmnopqrstuv"] {
            let token = Token { digest, secret: new_secret().unwrap() };
            let text = token.to_text();
            assert_eq!(text.reveal().len(), PREFIX.len() + DIGEST_LETTERS + 1 + SECRET_LETTERS);
            assert_eq!(Token::parse(text.reveal()), Ok(token.clone()));
            assert!(!format!("{token:?}").contains(token.secret.reveal()));
        }
        assert_ne!(new_secret().unwrap(), new_secret().unwrap());
    }

    #[test]
    fn what_is_no_token_is_refused_in_words() {
        let good = Token { digest: [7; 32], secret: new_secret().unwrap() }.to_text();
        let good = good.reveal();
        for (text, words) in [
            ("", "begins in another way"),
            ("SWMTKN-1-a-b", "begins in another way"),
            ("SWMPOOL-1-abc", "lacks its last part"),
            (&good.replacen("-1-", "-1-z", 1), "its digest"),
            (&format!("{}-{}", "SWMPOOL-1", "z".repeat(50) + "-" + &"a".repeat(25)), "its digest"),
            (&good[..good.len() - 1], "cut off"),
            (&good.to_uppercase(), "its digest"),
        ] {
            let error = Token::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
