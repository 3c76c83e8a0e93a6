//! A text that is never shown: it is wiped when dropped, and compared in a time that tells nothing
//! of it.

use std::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A secret text: a password, a key in PEM, the last part of a join token.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, for whoever must send or keep it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_compared_whole_and_never_shown() {
        let one = Secret::new("hunter2");
        assert_eq!(one, one.clone());
        for other in ["", "hunter", "hunter3", "hunter22"] {
            assert_ne!(one, Secret::new(other), "{other}");
        }
        assert_eq!(format!("{one:?}"), "…");
    }
}
