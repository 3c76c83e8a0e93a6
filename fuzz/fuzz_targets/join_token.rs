//! Join tokens and unlock keys: whatever is read prints back to the same text.
//! The same properties run as `token::tests` in swarm-ca.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swarm_ca::{JoinToken, UnlockKey};

fuzz_target!(|text: &str| {
    match JoinToken::parse(text) {
        Ok(token) => {
            assert_eq!(token.to_text().reveal(), text.trim());
            assert_eq!(JoinToken::parse(token.to_text().reveal()), Ok(token));
        }
        Err(error) => assert!(error.to_string().starts_with("invalid join token")),
    }
    if let Ok(key) = UnlockKey::parse(text) {
        assert_eq!(key.to_text().reveal(), text.trim());
    }
});
