//! Waiting longer after each failure, with chance in it: those who lost a peer together do not come back
//! to it together.
//!
//! What counts as a failure, and how long the first and the longest pause are, is the caller's.

mod trouble;

use std::time::Duration;

use rand::Rng as _;

pub use trouble::Trouble;

/// How long to wait next.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// From `first`, doubling up to `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// It went well.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// How long to wait now: what is due, less up to a half by chance.
    pub fn step(&mut self) -> Duration {
        let due = self.next;
        self.next = due.saturating_mul(2).min(self.most);
        due.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// Waits.
    pub async fn wait(&mut self) {
        let due = self.step();
        tokio::time::sleep(due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_begin_anew() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 4);
        for most in [1, 2, 4, 4] {
            let due = backoff.step();
            assert!(due <= second * most && due * 2 >= second * most, "{due:?} of {most} s");
        }
        backoff.reset();
        assert!(backoff.step() <= second);
        for _ in 0..10_000 {
            backoff.step();
        }
    }
}
