//! Names for services that were given none: two words, as Docker makes them for containers and services.

use rand::Rng;
use rand::seq::IndexedRandom as _;

const HOW: [&str; 32] = [
    "able", "amber", "brave", "brisk", "calm", "clever", "cosy", "eager", "early", "fair", "fleet",
    "gentle", "glad", "green", "happy", "keen", "kind", "lively", "lucky", "merry", "nimble",
    "noble", "patient", "proud", "quick", "quiet", "sober", "spry", "steady", "tidy", "warm",
    "wise",
];

const WHO: [&str; 32] = [
    "auk", "badger", "bee", "bison", "crane", "curlew", "dolphin", "dunlin", "eider", "falcon",
    "finch", "gannet", "godwit", "heron", "ibex", "kestrel", "lark", "lynx", "marten", "merlin",
    "orca", "osprey", "otter", "petrel", "plover", "puffin", "raven", "robin", "seal", "tern",
    "whale", "wren",
];

/// A name that `is_taken` does not know.
pub(super) fn new_name<R: Rng + ?Sized>(rng: &mut R, is_taken: impl Fn(&str) -> bool) -> String {
    let word = |words: &[&'static str], rng: &mut R| words.choose(rng).copied().unwrap_or("one");
    let mut name = format!("{}_{}", word(&HOW, rng), word(&WHO, rng));
    while is_taken(&name) {
        let number: u32 = rng.random_range(0..10_000);
        name = format!("{}_{}{number}", word(&HOW, rng), word(&WHO, rng));
    }
    name
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn thousands_of_names_are_all_different_and_names_of_services() {
        let mut names = BTreeSet::new();
        for _ in 0..3_000 {
            let name = new_name(&mut rand::rng(), |name| names.contains(name));
            let spec = serde_json::json!({
                "Name": name, "TaskTemplate": {"ContainerSpec": {"Image": "busybox"}}
            });
            let spec = serde_json::from_value(spec).unwrap();
            swarm_model::service::validate::spec(&spec).unwrap();
            assert!(names.insert(name));
        }
    }
}
