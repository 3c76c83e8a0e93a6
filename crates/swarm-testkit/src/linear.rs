//! Whether what clients saw of one object can be put in one order: each call done at a moment between
//! its question and its answer, and each answer what that order says (linearizability).
//!
//! The search is Wing and Gong's, with Lowe's memory of what was tried: it takes calls one by one,
//! each time one that no other call, not yet taken, had ended before. A call whose answer nobody heard
//! may be done at any moment after its question, or never.
//!
//! Invariants: every value is written at most once, so a version stands for a value; a history that is
//! too wide to be judged is an error, never a good one.

use std::collections::HashSet;
use std::fmt;

/// What is tried before the search gives up: some 100 MB.
const MOST: usize = 1_000_000;

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Tell what is there: this, as it was told.
    Read(Option<u64>),
    /// Put the second in the place of the first.
    Swap(u64, u64),
    /// Make it, where there is none.
    Create(u64),
    /// Take it away.
    Remove,
}

/// What the client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not, because of what was there: another version, something already, or nothing.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Who, for a person who reads it.
    pub client: usize,
    /// What.
    pub op: Op,
    /// What came of it.
    pub outcome: Outcome,
    /// When it was asked; any unit, of one clock.
    pub begun: u64,
    /// When the answer was there.
    pub ended: u64,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, op, outcome, begun, ended } = self;
        write!(f, "{begun}..{ended} client {client}: {op:?}: {outcome:?}")
    }
}

/// Why a history is not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breach {
    /// However calls are ordered, this one cannot be; the calls at the same time, and before it.
    NoOrder {
        /// The first for which there is no place in the order that goes furthest.
        stuck: Call,
        /// Those around it.
        around: Vec<Call>,
    },
    /// More orders than can be tried.
    TooWide,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOrder { stuck, around } => {
                write!(f, "there is no order for: {stuck}; around it:")?;
                around.iter().try_for_each(|call| write!(f, "\n  {call}"))
            }
            Self::TooWide => write!(f, "more than {MOST} orders: fewer clients at a time, please"),
        }
    }
}

impl std::error::Error for Breach {}

/// On what is there, the call cannot have been done with that answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Impossible;

/// What is there when the call is done on this.
fn done(call: &Call, there: Option<u64>) -> Result<Option<u64>, Impossible> {
    let is_refused = call.outcome == Outcome::Refused;
    let (can_be, then) = match call.op {
        Op::Read(told) => (told == there, there),
        Op::Swap(from, _) if is_refused => (there != Some(from), there),
        Op::Swap(from, to) => (there == Some(from), Some(to)),
        Op::Create(_) if is_refused => (there.is_some(), there),
        Op::Create(value) => (there.is_none(), Some(value)),
        Op::Remove if is_refused => (there.is_none(), there),
        Op::Remove => (there.is_some(), None),
    };
    if can_be { Ok(then) } else { Err(Impossible) }
}

/// How far a search has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Place {
    /// All answered calls before this number are taken.
    base: usize,
    /// And these of the later ones, in order.
    beyond: Vec<usize>,
    /// And these that nobody heard of, in order.
    unheard: Vec<usize>,
    there: Option<u64>,
}

/// Puts a number in its place in a list without it.
fn with(list: &[usize], number: usize) -> Vec<usize> {
    let at = list.partition_point(|other| *other < number);
    let mut list = list.to_vec();
    list.insert(at, number);
    list
}

/// Judges the calls on one object, of which there is none at first.
pub fn check(calls: &[Call]) -> Result<(), Breach> {
    let is_heard = |call: &&Call| call.outcome != Outcome::Unknown;
    let mut heard: Vec<Call> = calls.iter().filter(is_heard).copied().collect();
    heard.sort_by_key(|call| (call.begun, call.ended));
    // Of a read without an answer nothing follows.
    let has_effect = |call: &&Call| !is_heard(call) && !matches!(call.op, Op::Read(_));
    let unheard: Vec<Call> = calls.iter().filter(has_effect).copied().collect();
    let mut seen = HashSet::new();
    let mut stack = vec![Place::default()];
    let mut furthest = 0;
    while let Some(place) = stack.pop() {
        if place.base == heard.len() {
            return Ok(());
        }
        furthest = furthest.max(place.base);
        if seen.len() > MOST {
            return Err(Breach::TooWide);
        }
        let next = after(&place, &heard, &unheard);
        if seen.insert(place) {
            stack.extend(next);
        }
    }
    let Some(stuck) = heard.get(furthest).copied() else { return Ok(()) };
    let first = heard[..furthest].iter().rev().take(8).map(|call| call.begun).min().unwrap_or(0);
    let is_near = |call: &&Call| call.begun <= stuck.ended && call.ended >= first;
    Err(Breach::NoOrder { stuck, around: calls.iter().filter(is_near).copied().collect() })
}

/// Where one more call leads; what is to be tried first is last.
fn after(place: &Place, heard: &[Call], unheard: &[Call]) -> Vec<Place> {
    // What no call that is left had ended before.
    let mut until = u64::MAX;
    let mut open = Vec::new();
    for (number, call) in heard.iter().enumerate().skip(place.base) {
        if call.begun > until {
            break;
        }
        if place.beyond.binary_search(&number).is_err() {
            until = until.min(call.ended);
            open.push(number);
        }
    }
    let mut next = Vec::new();
    for (number, call) in unheard.iter().enumerate() {
        if call.begun <= until
            && place.unheard.binary_search(&number).is_err()
            && let Ok(there) = done(call, place.there)
        {
            next.push(Place { there, unheard: with(&place.unheard, number), ..place.clone() });
        }
    }
    open.retain(|number| heard[*number].begun <= until);
    open.sort_by_key(|number| std::cmp::Reverse(heard[*number].ended));
    for number in open {
        let Ok(there) = done(&heard[number], place.there) else { continue };
        let mut beyond = with(&place.beyond, number);
        let mut base = place.base;
        while beyond.first() == Some(&base) {
            beyond.remove(0);
            base += 1;
        }
        next.push(Place { base, beyond, there, unheard: place.unheard.clone() });
    }
    next
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    fn call(begun: u64, ended: u64, op: Op, outcome: Outcome) -> Call {
        Call { client: 0, op, outcome, begun, ended }
    }

    fn good(begun: u64, ended: u64, op: Op) -> Call {
        call(begun, ended, op, Outcome::Done)
    }

    #[test]
    fn calls_one_after_the_other_are_judged_by_what_they_tell() {
        let history = [
            good(0, 1, Op::Read(None)),
            good(2, 3, Op::Create(1)),
            call(4, 5, Op::Create(2), Outcome::Refused),
            good(6, 7, Op::Swap(1, 3)),
            call(8, 9, Op::Swap(1, 4), Outcome::Refused),
            good(10, 11, Op::Read(Some(3))),
            good(12, 13, Op::Remove),
            call(14, 15, Op::Remove, Outcome::Refused),
            good(16, 17, Op::Read(None)),
        ];
        assert_eq!(check(&history), Ok(()));
        // Each told otherwise is wrong.
        for at in 0..history.len() {
            let mut wrong = history;
            match &mut wrong[at] {
                Call { op: Op::Read(told), .. } => *told = Some(77),
                Call { outcome: outcome @ Outcome::Done, .. } => *outcome = Outcome::Refused,
                Call { outcome, .. } => *outcome = Outcome::Done,
            }
            assert!(check(&wrong).is_err(), "{}", wrong[at]);
        }
    }

    #[test]
    fn calls_at_the_same_time_may_be_in_either_order() {
        for told in [None, Some(1)] {
            assert_eq!(check(&[good(0, 9, Op::Create(1)), good(1, 8, Op::Read(told))]), Ok(()));
        }
        let turned =
            [good(0, 9, Op::Create(1)), good(1, 2, Op::Read(Some(1))), good(3, 4, Op::Read(None))];
        assert!(check(&turned).is_err(), "what was seen once cannot be unseen");
    }

    #[test]
    fn a_stale_read_is_refused() {
        let history =
            [good(0, 1, Op::Create(1)), good(2, 3, Op::Swap(1, 2)), good(4, 5, Op::Read(Some(1)))];
        let Err(Breach::NoOrder { stuck, around }) = check(&history) else {
            panic!("it is taken for good")
        };
        assert_eq!(stuck, history[2]);
        assert!(around.contains(&history[1]));
    }

    #[test]
    fn a_lost_update_is_refused() {
        let history = [
            good(0, 1, Op::Create(1)),
            good(2, 3, Op::Swap(1, 2)),
            good(4, 9, Op::Read(Some(2))),
            good(10, 11, Op::Swap(1, 3)),
        ];
        assert!(check(&history).is_err());
    }

    #[test]
    fn two_winners_of_one_version_are_refused() {
        let history =
            [good(0, 1, Op::Create(1)), good(2, 9, Op::Swap(1, 2)), good(2, 9, Op::Swap(1, 3))];
        assert!(check(&history).is_err());
        let mut one = history;
        one[2].outcome = Outcome::Refused;
        assert_eq!(check(&one), Ok(()));
    }

    #[test]
    fn what_was_refused_was_not_done() {
        let history = [
            good(0, 1, Op::Create(1)),
            call(2, 3, Op::Swap(1, 2), Outcome::Refused),
            good(4, 5, Op::Read(Some(2))),
        ];
        assert!(check(&history).is_err());
    }

    #[test]
    fn what_nobody_heard_of_may_be_done_late_or_never() {
        let unknown = |op| call(2, 3, op, Outcome::Unknown);
        let (make, swap) = (good(0, 1, Op::Create(1)), unknown(Op::Swap(1, 2)));
        assert_eq!(check(&[make, swap, good(9, 10, Op::Read(Some(1)))]), Ok(()));
        let late = [make, swap, good(9, 10, Op::Read(Some(1))), good(11, 12, Op::Read(Some(2)))];
        assert_eq!(check(&late), Ok(()));
        let undone = [make, swap, good(9, 10, Op::Read(Some(2))), good(11, 12, Op::Read(Some(1)))];
        assert!(check(&undone).is_err(), "and once done it stays done");
        let early = [make, good(1, 1, Op::Read(Some(2))), swap];
        assert!(check(&early).is_err(), "but not before it was asked for");
    }

    /// What clients would see of an object that does one call at a time.
    fn played(seed: u64, calls: u64) -> Vec<Call> {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut there, mut before, mut history) = (None, 0, Vec::new());
        for number in 1..=calls {
            let at = 100 * number;
            let op = match rng.random_range(0..10) {
                0 => Op::Remove,
                1 | 2 => Op::Create(number),
                3..6 => {
                    Op::Swap(if rng.random_bool(0.8) { there.unwrap_or(0) } else { before }, number)
                }
                _ => Op::Read(there),
            };
            let begun = at.saturating_sub(rng.random_range(0..300));
            let mut call = good(begun, at + rng.random_range(0..300), op);
            match done(&call, there) {
                Ok(now) => (before, there) = (there.unwrap_or(before), now),
                Err(Impossible) => call.outcome = Outcome::Refused,
            }
            if rng.random_bool(0.01) {
                call.outcome = Outcome::Unknown;
            }
            history.push(call);
        }
        history
    }

    #[test]
    fn what_an_honest_object_shows_is_good_and_a_turned_back_one_is_not() {
        for seed in 0..20 {
            let mut history = played(seed, 100);
            assert_eq!(check(&history), Ok(()), "seed {seed}");
            // A read of what was there long before.
            let old = history.iter().find_map(|call| match call.op {
                Op::Create(value) if call.outcome == Outcome::Done => Some(value),
                _ => None,
            });
            history.push(good(90_000, 90_001, Op::Read(old)));
            assert!(check(&history).is_err(), "seed {seed}");
        }
    }

    #[test]
    fn a_long_history_is_judged() {
        assert_eq!(check(&played(1, 3_000)), Ok(()));
    }
}
