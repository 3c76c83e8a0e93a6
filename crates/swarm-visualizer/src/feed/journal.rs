//! The last changes, numbered, so that who was away for a moment gets what he missed and no more.
//! Pure.
//!
//! Invariant: what is kept is bounded by count and by bytes; numbers have no gap.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::sse::Place;

/// How many changes are kept.
pub const CHANGES: usize = 4096;
/// How many bytes of them.
pub const BYTES: usize = 8 << 20;

/// Ready events by their numbers.
#[derive(Debug)]
pub struct Journal {
    epoch: u64,
    /// The number of the last one.
    last: u64,
    kept: VecDeque<Bytes>,
    bytes: usize,
}

impl Journal {
    /// An empty one.
    pub fn new(epoch: u64) -> Self {
        Self { epoch, last: 0, kept: VecDeque::new(), bytes: 0 }
    }

    /// Where it is now.
    pub fn place(&self) -> Place {
        Place { epoch: self.epoch, number: self.last }
    }

    /// Keeps one more, which is made for its place.
    pub fn push(&mut self, make: impl FnOnce(Place) -> Bytes) {
        self.last += 1;
        let made = make(self.place());
        self.bytes += made.len();
        self.kept.push_back(made);
        while self.kept.len() > CHANGES || self.bytes > BYTES {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }

    /// What came after `place`, at most `most` bytes but at least one change, and where that ends;
    /// `None` when it is not known any more, or never was.
    pub fn after(&self, place: Place, most: usize) -> Option<(Vec<Bytes>, Place)> {
        let missed = self.last.checked_sub(place.number).filter(|_| place.epoch == self.epoch)?;
        let missed = usize::try_from(missed).ok().filter(|missed| *missed <= self.kept.len())?;
        let mut taken = Vec::new();
        let mut bytes = 0;
        for one in self.kept.iter().skip(self.kept.len() - missed) {
            if bytes > 0 && bytes + one.len() > most {
                break;
            }
            bytes += one.len();
            taken.push(one.clone());
        }
        let number = place.number + u64::try_from(taken.len()).unwrap_or_default();
        Some((taken, Place { number, ..place }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: usize, size: usize) -> Journal {
        let mut journal = Journal::new(7);
        for _ in 0..count {
            journal.push(|place| {
                let mut text = format!("{} ", place.number);
                text.extend(std::iter::repeat_n('x', size));
                text.into()
            });
        }
        journal
    }

    fn at(number: u64) -> Place {
        Place { epoch: 7, number }
    }

    #[test]
    fn what_was_missed_comes_in_order_and_once() {
        let journal = filled(5, 0);
        assert_eq!(journal.after(at(3), 100), Some((vec!["4 ".into(), "5 ".into()], at(5))));
        assert_eq!(journal.after(at(5), 100), Some((vec![], at(5))));
        assert_eq!(journal.after(at(0), 3), Some((vec!["1 ".into()], at(1))), "in pieces");
    }

    #[test]
    fn what_is_not_known_is_said_to_be_so() {
        let journal = filled(5, 0);
        assert_eq!(journal.after(at(6), 100), None, "of the future");
        assert_eq!(journal.after(Place { epoch: 8, number: 3 }, 100), None, "of another feed");
        let many = filled(CHANGES + 10, 0);
        assert_eq!(many.after(at(9), 100), None);
        assert!(many.after(at(10), 100).is_some());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let journal = filled(20, 1 << 20);
        assert!(journal.bytes <= BYTES && journal.kept.len() == 7);
        assert!(journal.after(at(12), 1).is_none() && journal.after(at(13), 1).is_some());
    }
}
