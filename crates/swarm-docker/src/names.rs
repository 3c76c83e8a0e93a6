//! Container names: which are valid, the words when one is taken, and made-up ones.
//!
//! A pool reserves a name over all its engines before any of them creates the container, so it must
//! make the name up itself when the client gives none.

use crate::error::ApiError;

/// What Docker says is allowed, in its own notation; a name has at least two characters.
const ALLOWED: &str = "[a-zA-Z0-9][a-zA-Z0-9_.-]";

/// The name without the slash clients may put in front; a 400 in Docker's words when it is invalid.
pub fn check(name: &str) -> Result<&str, ApiError> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let mut bytes = bare.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest && bare.len() > 1 {
        Ok(bare)
    } else {
        Err(ApiError::invalid(format!(
            "Invalid container name ({name}), only {ALLOWED} are allowed"
        )))
    }
}

/// The 409 for a name that container `id` has.
pub fn conflict(name: &str, id: &str) -> ApiError {
    ApiError::conflict(format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have \
         to remove (or rename) that container to be able to reuse that name."
    ))
}

/// A made-up name such as `quiet_heron`. `pick(n)` must give a random number below `n`; from the
/// second attempt on a number follows, so that a full pool still finds a free name.
pub fn generate(mut pick: impl FnMut(usize) -> usize, attempt: usize) -> String {
    let mut word = |list: &[&'static str]| list.get(pick(list.len())).copied().unwrap_or("plain");
    let (first, second) = (word(&ADJECTIVES), word(&ANIMALS));
    if attempt == 0 {
        return format!("{first}_{second}");
    }
    // Ten times the room with each further attempt.
    let room = 10_usize.saturating_pow(u32::try_from(attempt.min(9)).unwrap_or(9));
    format!("{first}_{second}{}", pick(room))
}

const ADJECTIVES: [&str; 64] = [
    "able", "agile", "amber", "ample", "azure", "bold", "brave", "bright", "brisk", "calm",
    "candid", "cheery", "clear", "clever", "cosy", "crisp", "deft", "eager", "early", "fair",
    "fine", "fleet", "fond", "frank", "fresh", "gentle", "glad", "golden", "grand", "happy",
    "hardy", "honest", "humble", "jolly", "keen", "kind", "lively", "loyal", "lucid", "lucky",
    "mellow", "merry", "mild", "neat", "nimble", "noble", "patient", "plucky", "polite", "proud",
    "quick", "quiet", "ready", "robust", "serene", "sharp", "silver", "steady", "sunny", "swift",
    "tidy", "vivid", "warm", "witty",
];

const ANIMALS: [&str; 64] = [
    "alpaca", "badger", "beaver", "bison", "bittern", "buzzard", "caribou", "condor", "coot",
    "crane", "curlew", "dipper", "dolphin", "dunlin", "egret", "eider", "ermine", "falcon",
    "ferret", "finch", "gannet", "gecko", "gibbon", "godwit", "grebe", "hare", "heron", "hoopoe",
    "ibex", "ibis", "jackdaw", "jay", "kestrel", "kite", "lapwing", "lark", "lemur", "linnet",
    "lynx", "magpie", "marmot", "marten", "merlin", "narwhal", "newt", "ocelot", "oriole",
    "osprey", "otter", "petrel", "pipit", "plover", "puffin", "quail", "raven", "robin", "shrew",
    "siskin", "starling", "stoat", "swallow", "tern", "whimbrel", "wren",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_checked_in_docker_words() {
        for name in ["web", "/web", "a1", "A_b.c-d"] {
            assert_eq!(check(name).unwrap(), name.trim_start_matches('/'));
        }
        for name in ["", "/", "a", "_a", "a/b", "a b", "ä1", "//a"] {
            let error = check(name).unwrap_err();
            assert_eq!(error.status(), 400);
            let words = "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed";
            assert_eq!(error.message, format!("Invalid container name ({name}), {words}"));
        }
        assert_eq!(conflict("web", "abc").status(), 409);
    }

    proptest! {
        #[test]
        fn made_up_names_are_valid(seed in any::<usize>(), attempt in 0_usize..20) {
            let name = generate(|below| seed % below, attempt);
            prop_assert_eq!(check(&name).unwrap(), name.as_str());
        }
    }

    #[test]
    fn no_word_is_there_twice() {
        for list in [ADJECTIVES, ANIMALS] {
            let mut sorted = list.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), list.len());
        }
    }
}
