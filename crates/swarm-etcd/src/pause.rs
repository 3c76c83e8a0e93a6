//! How long to wait before the next try: doubling from a tenth of a second, with jitter, so that a
//! pool's clients do not all come back to a restarted store at one moment.

use std::time::Duration;

/// The first pause. A member that restarts is there again within a second.
const FIRST: Duration = Duration::from_millis(100);

/// Grows with every failure.
#[derive(Debug)]
pub(crate) struct Pause {
    failures: u32,
    longest: Duration,
}

impl Pause {
    /// Pauses of at most `longest`.
    pub(crate) fn new(longest: Duration) -> Self {
        Self { failures: 0, longest }
    }

    /// The next pause: between half and all of what the number of failures calls for.
    pub(crate) fn next(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.failures.min(16)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// All is well again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let longest = Duration::from_secs(2);
        let mut pause = Pause::new(longest);
        assert!(pause.next() <= FIRST);
        for _ in 0..100 {
            assert!(pause.next() <= longest);
        }
        assert!(pause.next() >= longest / 2);
        pause.reset();
        assert!(pause.next() <= FIRST);
    }
}
