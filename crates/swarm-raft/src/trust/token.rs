//! Join tokens: `SWMPOOL-1-<digest of the authority's certificate>-<secret>`.
//!
//! The digest lets the joiner know the pool before it says anything; the secret lets the pool know
//! the joiner's role. Both are written in base 36, at full length.

use std::fmt;

use serde::{Deserialize, Serialize};
use swarm_kv::Secret;
use swarm_model::base36;

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
        let digest = Some(digest)
            .filter(|digest| digest.len() == DIGEST_LETTERS)
            .and_then(base36::read)
            .ok_or(TokenError("its digest is mistyped or cut off"))?;
        let is_letter = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        if secret.len() != SECRET_LETTERS || !secret.bytes().all(is_letter) {
            return Err(TokenError("its last part is mistyped or cut off"));
        }
        Ok(Self { digest, secret: Secret::new(secret) })
    }

    /// As it is printed.
    pub fn to_text(&self) -> Secret {
        let digest = base36::write(&self.digest, DIGEST_LETTERS);
        Secret::new(format!("{PREFIX}{digest}-{}", self.secret.reveal()))
    }
}

/// A new secret.
pub(crate) fn new_secret() -> Result<Secret, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(Secret::new(base36::write(&bytes, SECRET_LETTERS)))
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
