//! Registry credentials that clients lent for a pull, remembered for the containers made from that
//! image: when one must be made anew elsewhere, its image may have to be pulled again.
//!
//! In memory only, and erased when forgotten; what outlives the manager is sealed (`seal`).

use indexmap::IndexMap;
use parking_lot::Mutex;
use zeroize::Zeroizing;

/// How many images' credentials are remembered, the newest.
const REMEMBERED: usize = 1_024;

/// What was lent, by image reference as the client wrote it, with its tag.
#[derive(Default)]
pub struct Credentials {
    by_image: Mutex<IndexMap<String, Zeroizing<String>>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// Notes an `X-Registry-Auth` lent for a pull of `image`. Those that hold nothing (`{}` in
    /// base64, as the CLI sends where nobody logged in) are no credentials.
    pub fn note(&self, image: &str, header: &str) {
        if is_empty(header) {
            return;
        }
        let mut known = self.by_image.lock();
        known.shift_remove(image);
        if known.len() >= REMEMBERED {
            known.shift_remove_index(0);
        }
        known.insert(image.to_owned(), Zeroizing::new(header.to_owned()));
    }

    /// What was lent for `image` last.
    pub fn of(&self, image: &str) -> Option<Zeroizing<String>> {
        self.by_image.lock().get(image).cloned()
    }
}

/// Whether an `X-Registry-Auth` holds no credentials.
pub fn is_empty(header: &str) -> bool {
    matches!(header.trim_end_matches('='), "" | "e30" | "bnVsbA")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered_and_empty_ones_are_none() {
        let credentials = Credentials::default();
        credentials.note("app:1", "e30=");
        assert!(credentials.of("app:1").is_none());
        for number in 0..=REMEMBERED {
            credentials.note(&format!("app:{number}"), "c2VjcmV0");
        }
        assert!(credentials.of("app:0").is_none());
        assert_eq!(credentials.of("app:1").as_deref().map(String::as_str), Some("c2VjcmV0"));
        assert!(!format!("{credentials:?}").contains("c2Vj"));
    }
}
