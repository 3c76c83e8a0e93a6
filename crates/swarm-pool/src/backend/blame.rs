//! Refusals of many engines in words that a person can read: engines that say the same are named
//! together, and of a large pool a few stand for the rest.

use swarm_backend::ApiError;

/// So many engines are named for what they all say.
const NAMED: usize = 5;
/// So many different refusals are told.
const TOLD: usize = 3;

/// An error with its engine's name, once.
fn blamed(label: &str, error: &ApiError) -> String {
    let named = error.message.strip_prefix("engine ").is_some_and(|rest| rest.starts_with(label));
    if named { error.message.clone() } else { format!("{label}: {}", error.message) }
}

/// Whether two engines failed alike: the same class, and the same words but for addresses. (Every
/// engine's look-up of a registry has a port of its own in it.)
pub(super) fn alike(one: &ApiError, other: &ApiError) -> bool {
    one.class == other.class && without_addresses(&one.message) == without_addresses(&other.message)
}

fn without_addresses(message: &str) -> String {
    let is_address = |word: &str| {
        word.contains(['.', ':'])
            && word.chars().all(|c| c.is_ascii_digit() || ".:[]->".contains(c))
    };
    let words = message.split_whitespace();
    words.map(|word| if is_address(word) { "*" } else { word }).collect::<Vec<_>>().join(" ")
}

/// All refusals as one text; those that are alike are told once.
pub(super) fn told(refusals: &[(String, ApiError)]) -> String {
    let mut groups: Vec<(&ApiError, Vec<&str>)> = Vec::new();
    for (label, error) in refusals {
        match groups.iter_mut().find(|(known, _)| alike(known, error)) {
            Some((_, labels)) => labels.push(label),
            None => groups.push((error, vec![label])),
        }
    }
    let mut words: Vec<String> = groups.iter().take(TOLD).map(one_group).collect();
    let left: usize = groups.iter().skip(TOLD).map(|(_, labels)| labels.len()).sum();
    if left > 0 {
        words.push(format!("and in other ways {left} more"));
    }
    words.join("; ")
}

fn one_group((error, labels): &(&ApiError, Vec<&str>)) -> String {
    match labels.as_slice() {
        [one] => blamed(one, error),
        several => {
            let named = several[..several.len().min(NAMED)].join(", ");
            let more = match several.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{named}{more}: {}", error.message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusals(words: &[&str]) -> Vec<(String, ApiError)> {
        let error = |words: &&str| ApiError::engine(500, *words);
        words.iter().enumerate().map(|(at, words)| (format!("n{at}"), error(words))).collect()
    }

    #[test]
    fn engines_that_say_the_same_are_named_together() {
        assert_eq!(told(&refusals(&["a", "b", "a"])), "n0, n2: a; n1: b");
        assert_eq!(told(&refusals(&["engine n0 is down", "a"])), "engine n0 is down; n1: a");
        // A registry that cannot be looked up, as each engine says it.
        let said =
            |from: &str| format!("lookup r.io on 10.0.0.1:53: read udp {from}->10.0.0.1:53: x");
        let (one, other) = (said("10.0.0.11:4711"), said("10.0.0.12:815"));
        assert_eq!(told(&refusals(&[&one, &other])), format!("n0, n1: {one}"));
        assert!(!alike(&ApiError::engine(500, "no 1"), &ApiError::engine(500, "no 2")));
        assert!(!alike(&ApiError::engine(500, "no"), &ApiError::engine(404, "no")));
    }

    #[test]
    fn of_a_large_pool_a_few_stand_for_the_rest() {
        let same = vec!["no space"; 1_000];
        assert_eq!(told(&refusals(&same)), "n0, n1, n2, n3, n4 and 995 more: no space");
        let each: Vec<String> = (0..1_000).map(|at| format!("no {at}")).collect();
        let each: Vec<&str> = each.iter().map(String::as_str).collect();
        assert_eq!(
            told(&refusals(&each)),
            "n0: no 0; n1: no 1; n2: no 2; and in other ways 997 more"
        );
    }
}
