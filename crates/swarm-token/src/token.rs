//! A token: 128 random bits, written as 32 hexadecimal digits, as the public service gave them.
//!
//! Whoever has it can register engines and read them, so its text is shown only where it is asked
//! for. It is looked up by a keyed hash, whose timing tells nothing of tokens that exist.

use std::fmt;
use std::str::FromStr;

/// Names a pool to the service, and is the right to use it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(u128);

impl Token {
    /// A new one, from the system's randomness.
    pub fn random() -> Self {
        Self(rand::random())
    }

    pub(crate) fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A text that no token has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token has 32 hexadecimal digits")]
pub struct TokenError;

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        bits.map(Self).ok_or(TokenError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_token_is_refused() {
        for text in
            ["", "0", &"0".repeat(31), &"0".repeat(33), &"g".repeat(32), "+0", &"é".repeat(16)]
        {
            assert_eq!(text.parse::<Token>(), Err(TokenError), "{text}");
        }
        let sign = format!("+{}", "0".repeat(31));
        assert_eq!(sign.parse::<Token>(), Err(TokenError));
    }

    #[test]
    fn it_is_random_and_shown_only_when_asked() {
        let token = Token::random();
        assert_ne!(token, Token::random());
        assert!(!format!("{token:?}").contains(&token.to_string()));
    }

    proptest! {
        #[test]
        fn it_is_read_as_it_is_written(bits: u128) {
            let text = Token(bits).to_string();
            prop_assert_eq!(text.len(), 32);
            prop_assert_eq!(text.parse::<Token>(), Ok(Token(bits)));
            prop_assert_eq!(text.to_ascii_uppercase().parse::<Token>(), Ok(Token(bits)));
        }
    }
}
