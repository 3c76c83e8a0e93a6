//! How long to wait before trying again: longer each time, and never as long as everybody else.

use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The first wait after a failure.
const SHORTEST: Duration = Duration::from_millis(50);
/// The longest: after an outage of the store a primary is there again within about this time.
const LONGEST: Duration = Duration::from_secs(2);

/// Random numbers for all waits of one manager.
#[derive(Debug)]
pub(super) struct Jitter(Mutex<StdRng>);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// Between three quarters of `wait` and all of it.
    pub(super) fn of(&self, wait: Duration) -> Duration {
        wait.mul_f64(self.0.lock().random_range(0.75..=1.0))
    }
}

/// The waits after failures in a row.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    /// Waits that grow to 2 s, or to `most` where that is less.
    pub(super) fn up_to(most: Duration) -> Self {
        let longest = most.clamp(SHORTEST, LONGEST);
        Self { next: SHORTEST, longest }
    }

    pub(super) fn next(&mut self, jitter: &Jitter) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        jitter.of(wait)
    }

    /// It went well: the next failure is a first one.
    pub(super) fn reset(&mut self) {
        self.next = SHORTEST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_begin_anew() {
        let jitter = Jitter::new(1);
        let mut pauses = Pauses::up_to(Duration::from_mins(1));
        let waits: Vec<_> = (0..8).map(|_| pauses.next(&jitter)).collect();
        assert!(waits[0] >= SHORTEST * 3 / 4 && waits[0] <= SHORTEST, "{waits:?}");
        assert!(waits[7] >= LONGEST * 3 / 4 && waits[7] <= LONGEST, "{waits:?}");
        pauses.reset();
        assert!(pauses.next(&jitter) <= SHORTEST);
        let mut short = Pauses::up_to(Duration::from_millis(1));
        assert!((0..9).all(|_| short.next(&jitter) <= SHORTEST));
    }
}
