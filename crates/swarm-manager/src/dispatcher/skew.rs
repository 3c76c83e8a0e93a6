//! How far a node's clock is off the leader's, by what its hello and its beats say. Pure.
//!
//! A message that was held up looks as if its sender's clock were behind. So two in a row have to agree,
//! what is short is not told, and what is told is told anew only when it is another thing.

/// Clocks that differ by less are in step, in nanoseconds: a pool tells of a second, but asks for it
/// itself, and there is no such wait in between.
const NEAR: i64 = 2_000_000_000;

const SECOND: i64 = 1_000_000_000;

/// What is known of one node's clock.
#[derive(Debug)]
pub struct Skew {
    told: i64,
    last: Option<i64>,
}

impl Skew {
    /// One of which that was told last.
    pub fn told(told: i64) -> Self {
        Self { told, last: None }
    }

    /// A message says that the node's clock is ahead by so much. What is to be told now, if anything: whole
    /// seconds in nanoseconds, 0 for clocks that are in step.
    pub fn note(&mut self, ahead: i64) -> Option<i64> {
        // What was told stays until it is clearly over.
        let limit = if self.told == 0 { NEAR } else { NEAR / 2 };
        // To the nearest second: what is on its way makes a clock that is ahead a little less so.
        let rounded = ahead.saturating_add(ahead.signum() * SECOND / 2) / SECOND * SECOND;
        let ahead = if ahead.saturating_abs() < limit { 0 } else { rounded };
        let last = self.last.replace(ahead)?;
        if is_like(ahead, self.told) || !is_like(ahead, last) {
            return None;
        }
        self.told = ahead;
        Some(ahead)
    }
}

/// Whether one is as good as the other, for people.
fn is_like(ahead: i64, other: i64) -> bool {
    let room = NEAR.max(other.saturating_abs() / 16);
    (ahead == 0) == (other == 0) && ahead.saturating_sub(other).saturating_abs() <= room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_messages_agree_on_is_told_once() {
        let day = 86_400 * SECOND;
        let mut skew = Skew::told(0);
        for (ahead, told) in [
            (0, None),
            (SECOND / 2, None),
            // One that was held up.
            (-9 * SECOND, None),
            (0, None),
            (3 * day, None),
            (3 * day - SECOND / 3, Some(3 * day)),
            (3 * day + SECOND, None),
            (3 * day + 2 * SECOND, None),
            (-SECOND, None),
            (-SECOND / 4, None),
            (SECOND / 4, Some(0)),
            (0, None),
            (-5 * SECOND, None),
            (-5 * SECOND - 1, Some(-5 * SECOND)),
            (-SECOND * 3 / 2, None),
            (-SECOND * 3 / 2, Some(-2 * SECOND)),
            (i64::MIN, None),
            (i64::MIN, Some(i64::MIN / SECOND * SECOND)),
        ] {
            assert_eq!(skew.note(ahead), told, "{ahead}");
        }
    }

    #[test]
    fn what_is_known_already_is_not_told_again() {
        let mut skew = Skew::told(-7 * SECOND);
        assert_eq!((skew.note(-7 * SECOND), skew.note(-8 * SECOND)), (None, None));
        let mut skew = Skew::told(-7 * SECOND);
        assert_eq!((skew.note(0), skew.note(0)), (None, Some(0)));
    }
}
