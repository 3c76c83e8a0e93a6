//! Join tokens: `SWMTKN-1-<50 letters>-<25 letters>`, both numbers in base 36.
//!
//! The first number is the SHA-256 of the root certificate's PEM text (not of its DER): so did
//! swarmkit (`ca/config.go`: `GenerateJoinToken` pads to `base36DigestLen` = 50 and
//! `maxGeneratedSecretLength` = 25; `ca/certificates.go`: `digest.FromBytes(certBytes)` of the PEM
//! bundle), and so does Docker 28, whose token and root are in the tests. The second is 16 random
//! bytes, and says by which of the cluster's tokens a node comes, and so its role.

use std::fmt;
use swarm_model::{Secret, base36};

use crate::roots::Digest;

/// With what a token begins.
const PREFIX: &str = "SWMTKN-1-";
/// 32 bytes in base 36.
const DIGEST_LETTERS: usize = 50;
/// 16 bytes in base 36.
const SECRET_LETTERS: usize = 25;
/// Bytes of chance in a secret.
const SECRET_BYTES: usize = 16;

/// Why a text is no token. No variant holds any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Another prefix.
    #[error("invalid join token: it does not begin with SWMTKN-1-")]
    Prefix,
    /// Docker's form for FIPS clusters, which there are none of here.
    #[error("invalid join token: SWMTKN-2 tokens are of FIPS clusters, which this is not")]
    Fips,
    /// Too few or too many parts.
    #[error("invalid join token: it has four parts, parted by dashes; some of it is cut off")]
    Parts,
    /// The digest is not 50 letters of base 36, or too large.
    #[error("invalid join token: its third part (50 letters) is mistyped or cut off")]
    Digest,
    /// The secret is not 25 letters of base 36, or too large.
    #[error("invalid join token: its last part (25 letters) is mistyped or cut off")]
    Secret,
    /// The system gives no random bytes.
    #[error("no join token can be made: the system gives no random bytes")]
    NoRandomness,
}

/// A join token, taken apart. `==` compares secrets in constant time.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    digest: Digest,
    secret: Secret,
}

impl JoinToken {
    /// A new token for the cluster whose root has this digest.
    pub fn generate(digest: Digest) -> Result<Self, TokenError> {
        let mut bytes = zeroize::Zeroizing::new([0; SECRET_BYTES]);
        aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| TokenError::NoRandomness)?;
        Ok(Self { digest, secret: Secret::new(base36::write(&*bytes, SECRET_LETTERS)) })
    }

    /// Reads a token; white space around it is let pass, as it comes with copying.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.starts_with("SWMTKN-2-") {
            return Err(TokenError::Fips);
        }
        let rest = text.strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
        let (digest, secret) = rest.split_once('-').ok_or(TokenError::Parts)?;
        if secret.contains('-') {
            return Err(TokenError::Parts);
        }
        if digest.len() != DIGEST_LETTERS {
            return Err(TokenError::Digest);
        }
        let digest = base36::read(digest).ok_or(TokenError::Digest)?;
        if secret.len() != SECRET_LETTERS || base36::read::<SECRET_BYTES>(secret).is_none() {
            return Err(TokenError::Secret);
        }
        Ok(Self { digest: Digest(digest), secret: Secret::new(secret) })
    }

    /// The root it pins.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The secret that says by which token a node comes.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// As it is printed and sent.
    pub fn to_text(&self) -> Secret {
        let digest = base36::write(&self.digest.0, DIGEST_LETTERS);
        Secret::new(format!("{PREFIX}{digest}-{}", self.secret.reveal()))
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken").field("digest", &self.digest).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn good() -> String {
        JoinToken::generate(Digest([7; 32])).unwrap().to_text().reveal().to_owned()
    }

    #[test]
    fn what_is_no_token_is_refused_in_words() {
        let good = good();
        for (text, error) in [
            (String::new(), TokenError::Prefix),
            ("SWMPOOL-1-a-b".to_owned(), TokenError::Prefix),
            (good.replacen("-1-", "-2-", 1), TokenError::Fips),
            ("SWMTKN-1-abc".to_owned(), TokenError::Parts),
            (format!("{good}-"), TokenError::Parts),
            (good.replacen("-1-", "-1-0", 1), TokenError::Digest),
            (format!("{PREFIX}{}-{}", "z".repeat(50), "0".repeat(25)), TokenError::Digest),
            (format!("{PREFIX}{}-{}", "0".repeat(50), "z".repeat(25)), TokenError::Secret),
            (good[..good.len() - 1].to_owned(), TokenError::Secret),
            (format!("{PREFIX}{}-{}", "0".repeat(50), "é".repeat(12) + "0"), TokenError::Secret),
        ] {
            assert_eq!(JoinToken::parse(&text).unwrap_err(), error, "{text}");
            assert!(error.to_string().contains("invalid join token"));
        }
    }

    #[test]
    fn a_token_is_never_shown_and_compared_by_both_parts() {
        let (one, other) = (JoinToken::parse(&good()).unwrap(), JoinToken::parse(&good()).unwrap());
        assert_ne!(one, other);
        assert_eq!(one, one.clone());
        assert_ne!(one, JoinToken { digest: Digest([8; 32]), secret: one.secret.clone() });
        let shown = format!("{one:?} {:?}", one.to_text());
        assert!(!shown.contains(one.secret.reveal()), "{shown}");
    }

    proptest! {
        #[test]
        fn a_token_survives_a_round_trip(digest: [u8; 32]) {
            let token = JoinToken::generate(Digest(digest)).unwrap();
            let text = token.to_text();
            prop_assert_eq!(text.reveal().len(), 9 + 50 + 1 + 25);
            prop_assert_eq!(JoinToken::parse(&format!(" {}\n", text.reveal())), Ok(token));
        }

        #[test]
        fn parsing_never_panics_and_what_it_reads_it_prints(text in "(SWMTKN-[12]-)?.{0,90}") {
            if let Ok(token) = JoinToken::parse(&text) {
                let printed = token.to_text();
                prop_assert_eq!(printed.reveal(), text.trim());
            }
        }
    }
}
