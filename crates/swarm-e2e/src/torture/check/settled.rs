//! After healing and quiet the pool equals the world: one container a promise, with the name and
//! the state that was promised, and nothing else; and the pool tells what its engines have.

use super::Promises;
use crate::torture::watch::Seen;

/// What is there in the end.
#[derive(Debug, Clone)]
pub struct End {
    /// By the engines' own word.
    pub engines: Vec<Seen>,
    /// By a manager's.
    pub pool: Vec<Seen>,
    /// Whether an engine lost power in the round.
    pub reboots: bool,
}

/// What is not as it must be.
pub fn unsettled(end: &End, promises: &[Promises]) -> Option<String> {
    if let Some(one) = end.engines.iter().find(|one| promises.iter().all(|p| p.slot != one.slot)) {
        return Some(format!("nobody asked for {one:?}"));
    }
    promises.iter().find_map(|promise| of(end, promise)).or_else(|| differs(end))
}

fn of(end: &End, promise: &Promises) -> Option<String> {
    let copies: Vec<&Seen> = end.engines.iter().filter(|one| one.slot == promise.slot).collect();
    let is = match copies[..] {
        [] => None,
        [one] => Some((one.name.clone(), one.running)),
        _ => return Some(format!("{} is there more than once: {copies:?}", promise.slot)),
    };
    let possible = promise.possible();
    (!promise.allow(&is, end.reboots))
        .then(|| format!("{} is {is:?}, and may be {possible}: {copies:?}", promise.slot))
}

fn differs(end: &End) -> Option<String> {
    let sorted = |all: &[Seen]| {
        let mut all = all.to_vec();
        all.sort();
        all
    };
    let (engines, pool) = (sorted(&end.engines), sorted(&end.pool));
    let missing = engines.iter().find(|one| !pool.contains(one));
    let more = pool.iter().find(|one| !engines.contains(one));
    missing
        .map(|one| format!("the pool does not show {one:?}; it shows {pool:?}"))
        .or_else(|| more.map(|one| format!("the pool shows {one:?}; there is {engines:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::history::{Answer, Op};
    use crate::torture::plan::Wish;

    fn seen(engine: u8, id: &str, running: bool) -> Seen {
        let (id, name, slot) = (id.to_owned(), "s0".to_owned(), "s0".to_owned());
        Seen { engine, id, name, slot, running }
    }

    fn words(engines: &[Seen], pool: &[Seen]) -> Option<String> {
        let (slot, restart) = ("s0".to_owned(), "always");
        let mut told = Promises::new(&Wish { slot, moves: true, volume: false, restart });
        told.heard(1, &Op::Create("s0".to_owned()), Answer::Done);
        told.heard(2, &Op::Start("s0".to_owned()), Answer::Done);
        let end = End { engines: engines.to_vec(), pool: pool.to_vec(), reboots: true };
        unsettled(&end, &[told])
    }

    #[test]
    fn each_difference_is_noticed() {
        let one = [seen(1, "a", true)];
        assert_eq!(words(&one, &one), None);
        let is = |words: Option<String>, part: &str| {
            assert!(words.as_deref().is_some_and(|words| words.contains(part)), "{words:?}");
        };
        is(words(&[], &[]), "s0 is None");
        is(words(&[seen(1, "a", false)], &one), "may be");
        is(words(&[seen(1, "a", true), seen(2, "b", false)], &one), "more than once");
        is(words(&one, &[]), "does not show");
        is(words(&one, &[seen(2, "a", true)]), "does not show");
        is(words(&one, &[seen(1, "a", true), seen(2, "b", true)]), "the pool shows");
        let foreign = Seen { slot: "s9".to_owned(), ..seen(1, "z", true) };
        is(words(&[seen(1, "a", true), foreign], &one), "nobody asked");
    }
}
